"""What a netboot is given without a rebuild: keys, hostname, address, console, parameters."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.utils.translation import gettext, gettext_noop

from builds.boot import checked
from builds.boot.checked import Address, Interface
from builds.choices import Console

SEGMENT_LIMIT = 3000
"""Letters: gunicorn takes lines of 4094, and the rest of the address needs its part."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


class BadOptions(ValueError):
    """Some options can't be used; `errors` has a sentence for each field, by its name.

    What is wrong with all of them together stands under "".
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        lines = (f"{name}: {why}" if name else why for name, why in self.errors.items())
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class BootOptions:
    """What is handed over to an image that boots over the network; every field may be empty.

    `keys` are lines of root's authorized_keys. `addresses`, with the length of their network,
    `gateways` and `nameservers` are for the card with the address `card` (six pairs of hex);
    where that is empty, for the card that the machine boots from. `consoles` and `params` go to
    the kernel's command line, and the last console is the one that the init system talks to.
    """

    keys: tuple[str, ...] = ()
    hostname: str = ""
    card: str = ""
    addresses: tuple[Interface, ...] = ()
    gateways: tuple[Address, ...] = ()
    nameservers: tuple[Address, ...] = ()
    consoles: tuple[Console, ...] = ()
    params: tuple[str, ...] = ()

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Options as a person types them: keys one a line, all else words between blanks.

        Raises BadOptions, which names every field that is wrong.
        """
        errors: dict[str, str] = {}
        values: dict[str, Any] = {}
        for name, read in _READERS.items():
            try:
                values[name] = read(texts.get(name, ""))
            except ValueError as wrong:
                errors[name] = str(wrong)
        if not texts.keys() <= _READERS.keys():
            errors[""] = gettext("There are unknown options; known are {known}").format(
                known=", ".join(_READERS)
            )
        if errors:
            raise BadOptions(errors)
        return cls(**values).checked()

    @classmethod
    def from_segment(cls, segment: str) -> Self:
        """The options that `segment` gave, checked as if a person had typed them.

        Raises BadOptions.
        """
        if len(segment) > SEGMENT_LIMIT or not _SEGMENT.fullmatch(segment):
            raise BadOptions({"": gettext(_NO_OPTIONS)})
        try:
            data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
            texts = json.loads(data)
        except (ValueError, RecursionError):
            raise BadOptions({"": gettext(_NO_OPTIONS)}) from None
        if not isinstance(texts, dict) or not all(isinstance(t, str) for t in texts.values()):
            raise BadOptions({"": gettext(_NOT_TEXTS)})
        return cls.parse(texts)

    @property
    def texts(self) -> dict[str, str]:
        """The fields that are not empty, each as `parse` reads it; same options, same texts."""
        joined = {name: _text(name, getattr(self, name)) for name in _READERS}
        return {name: text for name, text in joined.items() if text}

    @property
    def segment(self) -> str:
        """One segment of a URL's path that says all of it: base64url of canonical JSON."""
        text = json.dumps(self.texts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @property
    def kernel_params(self) -> tuple[str, ...]:
        """What is added to the kernel's command line."""
        return (*(f"console={console.value}" for console in self.consoles), *self.params)

    @property
    def is_for_any_card(self) -> bool:
        """Whether there are addresses that don't say for which card."""
        return bool(self.addresses) and not self.card

    def checked(self) -> Self:
        """Itself, where its fields agree with each other and fit into an address.

        Raises BadOptions.
        """
        errors = dict(_disagreements(self))
        if not errors and len(self.segment) > SEGMENT_LIMIT:
            errors[""] = gettext(
                "All of this is too much for one address: hand over fewer or shorter keys"
            )
        if errors:
            raise BadOptions(errors)
        return self


_NO_OPTIONS = gettext_noop(
    "The address holds no boot options: it has to be base64url of a JSON object, as the portal's "
    "own page writes it"
)
_NOT_TEXTS = gettext_noop(
    "The boot options are not all texts: it has to be base64url of a JSON object, as the portal's "
    "own page writes it"
)

_READERS: dict[str, Callable[[str], object]] = {
    "keys": checked.keys,
    "hostname": checked.hostname,
    "card": checked.card,
    "addresses": checked.interfaces,
    "gateways": checked.gateways,
    "nameservers": checked.nameservers,
    "consoles": checked.consoles,
    "params": checked.kernel_params,
}


def _text(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ("\n" if name == "keys" else " ").join(map(str, value))
    return str(value)


def _disagreements(options: BootOptions) -> list[tuple[str, str]]:
    errors = []
    families = {address.version for address in options.addresses}
    for gateway in options.gateways:
        if gateway.version not in families:
            said = gettext("{gateway} needs an address of IPv{version}")
            said = said.format(gateway=gateway, version=gateway.version)
            errors.append(("gateways", said))
        if any(gateway == address.ip for address in options.addresses):
            said = gettext("{gateway} is the machine's own address").format(gateway=gateway)
            errors.append(("gateways", said))
    if options.card and not options.addresses:
        errors.append(("card", gettext("it says nothing without an address for that card")))
    return errors
