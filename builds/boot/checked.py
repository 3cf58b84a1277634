"""Reads what a person types for a boot, field by field; each wrong word is a ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.utils.translation import gettext

from builds.boot.ssh_keys import NotAKey, public_key
from builds.choices import Console

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Read = TypeVar("Read")

KEY_LIMIT = 16
ADDRESS_LIMIT = 4
NAMESERVER_LIMIT = 3  # what a libc asks
PARAMS_LIMIT = 1000  # letters; kernels take 2048 with the image's own
HOSTNAME_LIMIT = 64  # the kernel's

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CARD = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
# None of what iPXE, GRUB, a shell or the kernel gives a meaning of its own: white space, quotes,
# backslash, $, #, &, |, ;, braces.
_PARAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:=/@+%~-]*")
# The script's own: with another initrd than it loads, the machine does not boot.
_TAKEN = frozenset({"initrd", "bootif"})


def keys(text: str) -> tuple[str, ...]:
    """Lines of an authorized_keys file without options; comments and empty lines are left out."""
    read: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            read.append(public_key(line))
        except NotAKey as wrong:
            raise ValueError(
                gettext("line {number}: {wrong}").format(number=number, wrong=wrong)
            ) from None
    return _few(read, KEY_LIMIT)


def hostname(text: str) -> str:
    """A name of RFC 1123, in small letters."""
    name = text.strip().lower()
    if name and (len(name) > HOSTNAME_LIMIT or not all(map(_LABEL.fullmatch, name.split(".")))):
        raise _wrong(
            gettext("{word} is no hostname: letters, digits and inner hyphens, {limit} at most"),
            name,
            limit=HOSTNAME_LIMIT,
        )
    return name


def card(text: str) -> str:
    """A card's address, as six pairs of hex with colons."""
    address = text.strip().lower().replace("-", ":")
    if address and not _CARD.fullmatch(address):
        raise _wrong(gettext("{word} is no card's address such as 52:54:00:12:34:56"), address)
    return address


def interfaces(text: str) -> tuple[Interface, ...]:
    """Addresses with the length of their network."""
    return _few(_each(text, _interface), ADDRESS_LIMIT)


def gateways(text: str) -> tuple[Address, ...]:
    """At most one gateway of each family."""
    read = _few(_each(text, _address), 2)
    if len({gateway.version for gateway in read}) < len(read):
        raise ValueError(gettext("there can be one gateway for IPv4 and one for IPv6"))
    return read


def nameservers(text: str) -> tuple[Address, ...]:
    """Addresses of name servers."""
    return _few(_each(text, _address), NAMESERVER_LIMIT)


def consoles(text: str) -> tuple[Console, ...]:
    """Consoles of the closed set, the last one for the init system."""
    return _few(_each(text, _console), len(Console))


def kernel_params(text: str) -> tuple[str, ...]:
    """Words for the kernel's command line, of letters that nothing on the way gives a meaning."""
    read = tuple(_each(text, _param))
    if len(" ".join(read)) > PARAMS_LIMIT:
        raise ValueError(
            gettext("they are longer than {limit} letters together").format(limit=PARAMS_LIMIT)
        )
    return read


def _interface(word: str) -> Interface:
    if "/" not in word:
        raise _wrong(gettext("{word} lacks the length of its network, as in 192.0.2.5/24"), word)
    try:
        read = ipaddress.ip_interface(word)
    except ValueError:
        raise _wrong(gettext("{word} is no address such as 192.0.2.5/24"), word) from None
    _check_usable(read.ip, word)
    lonely = read.network.num_addresses <= 2  # noqa: PLR2004 - RFC 3021, and single addresses
    ends = {read.network.network_address}
    if read.version == 4:  # noqa: PLR2004
        ends.add(read.network.broadcast_address)
    if not lonely and read.ip in ends:
        raise _wrong(gettext("{word} names the network, not an address in it"), word)
    return read


def _address(word: str) -> Address:
    try:
        read = ipaddress.ip_address(word)
    except ValueError:
        raise _wrong(gettext("{word} is no address"), word) from None
    _check_usable(read, word)
    return read


def _check_usable(address: Address, word: str) -> None:
    # ipaddress keeps it, whatever its letters are.
    if "%" in word:
        raise _wrong(gettext("{word}: leave out what follows the %; the card is a field"), word)
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise _wrong(gettext("{word} is no address of a machine in a network"), word)


def _console(word: str) -> Console:
    try:
        return Console(word)
    except ValueError:
        known = ", ".join(Console.values)
        raise _wrong(
            gettext("{word} is no console; known are {known}"), word, known=known
        ) from None


def _param(word: str) -> str:
    if not _PARAM.fullmatch(word):
        raise _wrong(gettext("{word}: a parameter has letters, digits and _.,:=/@+%~- only"), word)
    if word.partition("=")[0].lower() in _TAKEN:
        raise _wrong(gettext("{word}: the boot script sets this itself"), word)
    return word


def _each(text: str, read: Callable[[str], Read]) -> Iterable[Read]:
    return (read(word) for word in text.split())


def _few(read: Iterable[Read], limit: int) -> tuple[Read, ...]:
    """Without what is there twice; in the order of the first."""
    found = tuple(dict.fromkeys(read))
    if len(found) > limit:
        raise ValueError(
            gettext("there are {count}, and {limit} at most can be given").format(
                count=len(found), limit=limit
            )
        )
    return found


def _wrong(said: str, word: str, **known: object) -> ValueError:
    return ValueError(said.format(word=_shown(word), **known))


def _shown(word: str) -> str:
    return repr(word if len(word) <= 60 else f"{word[:60]}…")  # noqa: PLR2004 - fits a line
