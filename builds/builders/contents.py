"""What is inside an image: its own list of it, or what the Nix store knows of the output.

An image lists its contents in two files of `$out/nix-support`, either or both:

- `closure-registration.gz`: store paths as `nix-store --load-db` takes them (path, NAR hash, NAR
  size, deriver, count of references, references), packed, so that Nix does not take each for a
  reference of the output;
- `packages.json`: an object with a list `packages` of {"kind": "deb", "name", "version", "file",
  "sha256"}.

Whoever defines images writes them, so they are read within bounds and with suspicion.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from builds.builders.base import BadProduct
from builds.builders.how_made import Component
from builds.builders.nix_command import NixCalls
from builds.builders.nix_recipe import nar_sha256

MOST_COMPONENTS = 10_000
MOST_TEXT = 32 * 1024 * 1024

REGISTRATION, PACKAGES = "closure-registration.gz", "packages.json"

_STORE_PATH = re.compile(
    r"/nix/store/[0-9a-df-np-sv-z]{32}-(?P<name>[0-9A-Za-z+._?=-]{1,211})", re.ASCII
)
# Nix's own rule (parseDrvName): the version begins at the first dash that no letter follows.
_NAMED = re.compile(r"(?P<name>.+?)-(?P<version>[^A-Za-z].*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z+.~:_-]{0,199}", re.ASCII)


def listed(output: Path) -> tuple[Component, ...]:
    """What an image says is inside it, by place; nothing where it says nothing.

    Raises BadProduct for a list that can't be read.
    """
    found = [*_registered(output / "nix-support" / REGISTRATION)]
    found += _packages(output / "nix-support" / PACKAGES)
    return _ordered(found)


def known_to_store(calls: NixCalls, output: Path, derivation: str) -> tuple[Component, ...]:
    """What the store knows instead: the output's runtime closure, and the recipes behind it.

    Nothing where that is more than anybody would read. Raises a BuilderError.
    """
    inside = _path_info(calls, [str(output)])
    recipes = _path_info(calls, ["--derivation", derivation])
    if len(inside) + len(recipes) > MOST_COMPONENTS:
        calls.sink.line(f"no SBOM: the closure has more than {MOST_COMPONENTS} store paths")
        return ()
    found = [_of_store(path, info) for path, info in inside.items()]
    found += [
        _of_store(path, info, built_with=True)
        for path, info in recipes.items()
        if path not in inside
    ]
    return _ordered(found)


def _registered(path: Path) -> Iterator[Component]:
    lines = iter(_text(path).splitlines())
    for line in lines:
        try:
            digest, size, _deriver, count = next(lines), int(next(lines)), next(lines), next(lines)
            for _ in range(int(count)):
                next(lines)
        except (StopIteration, ValueError):
            raise BadProduct(f"{path.name} ends within what it says of {line[:200]!r}.") from None
        sha256 = nar_sha256(digest)
        if not sha256 or size < 0:
            raise BadProduct(f"{path.name} has no hash or size of {line[:200]!r}.")
        yield _store_component(line, sha256, size, built_with=False)


def _packages(path: Path) -> Iterator[Component]:
    text = _text(path)
    if not text:
        return
    try:
        told = json.loads(text)["packages"]
        if not isinstance(told, list):
            raise TypeError  # noqa: TRY301 - as any other shape
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadProduct(f"{path.name} is no object with a list of packages.") from None
    yield from (_package(each) for each in told)


def _package(told: object) -> Component:
    match told:
        case {
            "kind": "deb",
            "name": str(name),
            "version": str(version),
            "file": str(file),
            "sha256": str(sha256),
        } if all(map(_WORD.fullmatch, (name, version, file))) and _SHA256.fullmatch(sha256):
            return Component("deb", name, version, file, sha256=sha256)
    raise BadProduct(f"{PACKAGES} lists what is no package: {str(told)[:200]!r}.")


def _path_info(calls: NixCalls, what: list[str]) -> Mapping[str, Mapping[str, Any]]:
    """What Nix knows of paths and all that they reach; its JSON has changed its shape twice."""
    words = ["path-info", "--recursive", "--json", *what[:-1], "--", what[-1]]
    answer = calls.ask(words).json()
    match answer:
        case {"info": dict(by_name)}:
            return {_in_store(path): info or {} for path, info in by_name.items()}
        case dict():
            return {path: info or {} for path, info in answer.items()}
        case list():
            return {each["path"]: each for each in answer}
    return {}


def _of_store(path: str, info: Mapping[str, Any], *, built_with: bool = False) -> Component:
    size = info.get("narSize")
    count = size if type(size) is int else None
    return _store_component(path, nar_sha256(info.get("narHash")), count, built_with=built_with)


def _store_component(path: str, sha256: str, size: int | None, *, built_with: bool) -> Component:
    read = _STORE_PATH.fullmatch(path)
    if read is None:
        raise BadProduct(f"{path[:200]!r} is no store path.")
    full = read["name"].removesuffix(".drv")
    named = _NAMED.fullmatch(full)
    name, version = (named["name"], named["version"]) if named else (full, "")
    return Component(
        "nix", name, version, path, nar_sha256=sha256, size=size, built_with=built_with
    )


def _ordered(found: Iterable[Component]) -> tuple[Component, ...]:
    by_place = {each.place: each for each in found}
    if len(by_place) > MOST_COMPONENTS:
        raise BadProduct(f"The image lists {len(by_place)} things; {MOST_COMPONENTS} are the most.")
    return tuple(by_place[place] for place in sorted(by_place))


def _text(path: Path) -> str:
    """The text of one list, unpacked within bounds; "" where there is none."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MOST_TEXT + 1)
        text = data.decode("ascii")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as broken:
        raise BadProduct(f"{path.name} can't be read: {broken}.") from broken
    if len(data) > MOST_TEXT:
        raise BadProduct(f"{path.name} has more than {MOST_TEXT} bytes.")
    return text


def _in_store(name: str) -> str:
    return name if name.startswith("/") else f"/nix/store/{name}"
