"""Where a request may go: public addresses, and the inward networks that a setting allows."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# RFC 6052 and RFC 8215: these carry an IPv4 address in their last 32 bits.
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/96"))
# The deprecated way to write an IPv4 address in IPv6; the first few of these mean other things.
_COMPATIBLE = range(0x1_0000, 0x1_0000_0000)
_PORTS = {"http": 80, "https": 443}


def network(text: str) -> Network:
    """A network such as 10.1.0.0/16. Raises ValueError."""
    return ip_network(text)


class Refused(Exception):
    """A URL or an address that no request goes to; the text says why."""


class Place(NamedTuple):
    """A URL, taken apart."""

    is_tls: bool
    host: str
    port: int
    target: str


def check_url(url: str, allowed: Iterable[Network] = ()) -> Place:
    """Take the URL of a request apart.

    Raises Refused for what is no plain http(s) URL, and for an address written out that is
    inward and not allowed. A host's name is looked up when something is sent, not here.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"{url!r} is not a URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Refused("wants https://host/path or http://host/path")
    if parts.username or parts.password or parts.fragment:
        raise Refused("wants no user, password or fragment")
    if not url.isascii() or any(sign <= " " for sign in url):
        raise Refused("wants plain ASCII without spaces; write other signs as %XX or xn--")
    literal = _literal(parts.hostname)
    if literal is not None:
        refuse_inward(literal, allowed)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme == "https", parts.hostname, port or _PORTS[parts.scheme], target)


def resolve(host: str, port: int, allowed: Iterable[Network]) -> list[Address]:
    """The addresses of a host, looked up once.

    Raises Refused where any of them leads inward: such a name is not to be trusted with the
    others either. Raises OSError where it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
    for address in addresses:
        refuse_inward(address, allowed)
    return addresses


def refuse_inward(address: Address, allowed: Iterable[Network]) -> None:
    """Raise Refused unless an address is public, or in a network that is allowed."""
    for inner in _meant(address):
        if any(inner in network for network in allowed):
            continue
        # is_global leaves multicast and reserved ones in, and deprecated site-local addresses.
        odd = inner.is_multicast or inner.is_reserved or getattr(inner, "is_site_local", False)
        if odd or not inner.is_global:
            raise Refused(
                f"{address} is no public address, and no allowed network has it:"
                " see WEBHOOK_NETWORKS and MIRROR_NETWORKS"
            )


def _meant(address: Address) -> Sequence[Address]:
    """The addresses that packets to an address may end up at: those that are packed in it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    number = int(address)
    if any(address in network for network in _TRANSLATED):
        return [IPv4Address(number & 0xFFFF_FFFF)]
    compatible = IPv4Address(number) if number in _COMPATIBLE else None
    packed = [address.sixtofour, *(address.teredo or ()), compatible]
    return [address, *(inner for inner in packed if inner is not None)]


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
