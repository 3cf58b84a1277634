"""Reads a folder of image files that were built elsewhere: what is in it, what of it counts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from builds.builders.base import BadProduct, Product
from builds.builders.names import (
    Meant,
    artifact_name,
    is_of_another_system,
    meant_by_role,
    recognised,
)
from builds.builders.products import (
    ImageFacts,
    check_names,
    check_roles,
    listing,
    product,
    read_facts,
)
from builds.choices import System, Variant

_SUM = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?P<name>[^/\0]+)")
_SUMS_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds.

    `products` are the files of each variant that is whole; `left_out` has a line for each file
    that is none of them; `digests` are those that the folder's own sums file claims, by the
    names that the files have there; `facts` is what the image says of itself.
    """

    products: dict[Variant, tuple[Product, ...]]
    left_out: tuple[str, ...]
    digests: dict[str, str]
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    meant: Meant | None
    why_not: str = ""


def read_folder(folder: Path, system: System, closure: Collection[Path] = ()) -> Found:
    """Read a folder, by its nix-support/hydra-build-products, else by the names of its files.

    Links may lead within the folder, and into what else `closure` names. Raises BadProduct for
    a variant that is not whole, for a file that is empty or leads out, and where nothing counts.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise BadProduct(f"{folder} is no folder.")
    entries = list(_entries(folder, system))
    products: dict[Variant, list[Product]] = {}
    for entry in entries:
        if entry.meant is not None:
            found = _product(entry.path, entry.meant, system, {folder, *closure})
            products.setdefault(entry.meant.variant, []).append(found)
    if not products:
        raise BadProduct(f"{folder} holds no file that is an artifact for {system}.")
    for variant, files in products.items():
        check_roles(variant, (each.role for each in files))
    check_names(each.name for files in products.values() for each in files)
    return Found(
        products={each: tuple(products[each]) for each in Variant if each in products},
        left_out=tuple(f"{each.path.name}: {each.why_not}" for each in entries if each.why_not),
        digests=_digests(folder, system),
        facts=read_facts(folder),
    )


def _product(path: Path, meant: Meant, system: System, closure: Collection[Path]) -> Product:
    try:
        name = artifact_name(meant, system, path.name)
    except ValueError as error:
        raise BadProduct(f"{error}.") from error
    return product(path, meant.role, closure, name)


def _entries(folder: Path, system: System) -> Iterator[_Entry]:
    if (folder / "nix-support" / "hydra-build-products").exists():
        yield from _listed(folder, system)
        return
    for path in sorted(folder.iterdir()):
        yield _Entry(path, recognised(path.name, system), _why_not(path.name, system))


def _listed(folder: Path, system: System) -> Iterator[_Entry]:
    for line in listing(folder):
        path = Path(line.path)
        if is_of_another_system(path.name, system):
            yield _Entry(path, None, _why_not(path.name, system))
        elif line.role is None:
            yield _Entry(path, None, f"a {line.type} {line.subtype} is not handed out")
        else:
            yield _Entry(path, meant_by_role(line.role, path.name))


def _why_not(name: str, system: System) -> str:
    if recognised(name, system) is not None:
        return ""
    if is_of_another_system(name, system):
        return f"not for {system}"
    return "not the name of an artifact"


def _digests(folder: Path, system: System) -> dict[str, str]:
    """What the folder's own sums files say, where it has any."""
    told: dict[str, str] = {}
    for name in ("SHA256SUMS", f"SHA256SUMS-{system}"):
        path = folder / name
        if path.is_file() and path.resolve().is_relative_to(folder):
            lines = path.read_bytes()[:_SUMS_LIMIT].decode(errors="replace").splitlines()
            told |= {read["name"]: read["sha256"] for read in map(_SUM.fullmatch, lines) if read}
    return told
