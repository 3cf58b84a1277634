"""Settings of Nix's own that an installation may add: remote builders, other platforms, options."""

from __future__ import annotations

import re
import shlex

from portal.env import BadSetting, Environment

# What the portal itself decides, build by build.
_OURS = frozenset(
    {
        "accept-flake-config",
        "builders",
        "experimental-features",
        "extra-experimental-features",
        "extra-platforms",
        "log-format",
        "sandbox",
        "sandbox-fallback",
        "warn-dirty",
    }
)
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_SYSTEM = re.compile(r"[a-z0-9_]+-[a-z0-9]+")
_STORE = re.compile(r"(?:(?:ssh|ssh-ng|unix|daemon)(?:://\S+)?)|[A-Za-z0-9_][A-Za-z0-9_.@:-]*")
_MOST_FIELDS = 8
_SYSTEMS, _JOBS, _SPEED = 1, 3, 4


def nix_options(env: Environment) -> dict[str, str]:
    """Options for every call of Nix, from NIX_BUILDERS, NIX_EXTRA_PLATFORMS and NIX_OPTIONS.

    Raises BadSetting where one of them is malformed: Nix itself only warns, and builds locally.
    """
    options = _more_options(env.text("NIX_OPTIONS"))
    if builders := _builders(env.text("NIX_BUILDERS")):
        options["builders"] = builders
    if platforms := _platforms(env.text("NIX_EXTRA_PLATFORMS")):
        options["extra-platforms"] = platforms
    return options


def _more_options(given: str) -> dict[str, str]:
    """NIX_OPTIONS: name=value …, as a shell would split them."""
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise BadSetting("NIX_OPTIONS", f"can't be read: {error}") from None
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise BadSetting("NIX_OPTIONS", f"wants name=value with spaces between, not {word!r}")
        if name in _OURS:
            raise BadSetting("NIX_OPTIONS", f"{name} has a setting of its own or is the portal's")
        options[name] = value
    return options


def _platforms(given: str) -> str:
    """NIX_EXTRA_PLATFORMS: systems that this machine emulates, with spaces between."""
    for word in given.split():
        if not _SYSTEM.fullmatch(word):
            raise BadSetting("NIX_EXTRA_PLATFORMS", f"{word!r} is no system like aarch64-linux")
    return " ".join(given.split())


def _builders(given: str) -> str:
    """NIX_BUILDERS: machines as nix.conf's `builders` has them, or @file."""
    if given.startswith("@"):
        if not given.startswith("@/"):
            raise BadSetting("NIX_BUILDERS", f"wants @ and an absolute path, not {given!r}")
        return given
    machines = [part.split() for part in re.split(r"[;\n]", given) if part.strip()]
    for fields in machines:
        if wrong := _wrong_with(fields):
            raise BadSetting("NIX_BUILDERS", f"{' '.join(fields)!r}: {wrong}")
    return " ; ".join(" ".join(fields) for fields in machines)


def _wrong_with(fields: list[str]) -> str:
    """What is wrong with a machine's line, "" where nothing is.

    The fields: store, systems, ssh key, most builds at once, speed, features, mandatory
    features, host key; each but the first may be left out or be "-".
    """
    if len(fields) > _MOST_FIELDS:
        return f"has more than {_MOST_FIELDS} fields; machines are separated by ;"
    if not _STORE.fullmatch(fields[0]):
        return f"{fields[0]!r} is neither a host nor ssh://, ssh-ng://, unix:// or daemon"
    for number, field in enumerate(fields):
        if number == _SYSTEMS and field != "-":
            wrong = [each for each in field.split(",") if not _SYSTEM.fullmatch(each)]
            if wrong:
                return f"{wrong[0]!r} is no system like aarch64-linux"
        if number in {_JOBS, _SPEED} and field != "-" and not field.isdecimal():
            return f"field {number + 1} wants a number, not {field!r}"
    return ""
