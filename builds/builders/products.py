"""Reads what a build offers from `$out/nix-support`, and refuses what nobody could boot."""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builds.builders.base import BadProduct, Product
from builds.choices import Role, Variant

ROLES = {
    "kernel": Role.KERNEL,
    "bzImage": Role.KERNEL,
    "Image": Role.KERNEL,
    "initrd": Role.INITRD,
    "ipxe": Role.IPXE,
    "tarball": Role.TARBALL,
    "bundle": Role.BUNDLE,
    "iso": Role.ISO,
}
"""What the subtypes of Hydra's `file` products are for; other subtypes are not handed out."""

NEEDED = {
    Variant.NETBOOT: (Role.KERNEL, Role.INITRD, Role.IPXE),
    Variant.KEXEC_INSTALLER: (Role.TARBALL,),
    Variant.KEXEC_INSTALLER_NONINTERACTIVE: (Role.TARBALL,),
    Variant.KEXEC_BUNDLE: (Role.BUNDLE,),
    Variant.ISO: (Role.ISO,),
}
"""The roles that a variant consists of: each once, tarballs in as many compressions as liked."""

# As Hydra reads it: type, subtype, path with or without quotes, and a default page for folders.
_LINE = re.compile(
    r"\s*(?P<type>[\w-]+)\s+(?P<subtype>[\w-]+)\s+"
    r"(?:\"(?P<quoted>[^\"]+)\"|(?P<path>[^\s\"<>]+))(?:\s+[^\s\"<>]+)?\s*",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_TEXT_LIMIT = 64 * 1024
_MOST_MEMORY = 1024 * 1024  # MiB


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of hydra-build-products."""

    type: str
    subtype: str
    path: str

    @property
    def role(self) -> Role | None:
        """What the file is for; None where it is nothing that we hand out."""
        return ROLES.get(self.subtype) if self.type == "file" else None


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself in nix-support/image.json; "" where it says nothing.

    `memory` is the MiB of RAM that it needs, None where it does not say.
    """

    version: str = ""
    kernel_version: str = ""
    memory: int | None = None


def read_products(
    output: Path, variant: Variant, closure: Collection[Path], say: Callable[[str], None]
) -> tuple[Product, ...]:
    """The files of an output that make up a variant.

    `closure` is every store path that the output reaches; a link may lead into these and
    nowhere else. `say` gets a line for each product that is left out. Raises BadProduct.
    """
    products = []
    for listed in listing(output):
        if listed.role in NEEDED[variant]:
            products.append(product(Path(listed.path), listed.role, closure))
        else:
            say(f"not handed out: {listed.type} {listed.subtype} {listed.path}")
    check_roles(variant, (each.role for each in products))
    check_names(each.name for each in products)
    return tuple(products)


def read_facts(output: Path) -> ImageFacts:
    """What the image says of itself. Raises BadProduct where its image.json is broken."""
    path = output / "nix-support" / "image.json"
    if not path.is_file():
        return ImageFacts()
    try:
        facts = json.loads(path.read_bytes()[:_TEXT_LIMIT])
        told = {key: facts.get(key, "") for key in ("version", "kernel_version")}
    except (ValueError, AttributeError) as broken:
        raise BadProduct(f"{path} is not a JSON object.") from broken
    for key, value in told.items():
        if not isinstance(value, str) or not re.fullmatch(r"[\w.+-]{0,100}", value, re.ASCII):
            raise BadProduct(f"{key} in {path} is not a plain version: {str(value)[:100]!r}.")
    memory = facts.get("min_ram_mib")
    if memory is not None and (type(memory) is not int or not 0 < memory <= _MOST_MEMORY):
        raise BadProduct(f"min_ram_mib in {path} is no number of MiB: {str(memory)[:100]!r}.")
    return ImageFacts(**told, memory=memory)


def kernel_params(products: Collection[Product]) -> str:
    """The kernel's command line in the output's iPXE script; "" where it has no script.

    Without initrd= and ${cmdline}, which only iPXE understands.
    """
    for each in products:
        if each.role == Role.IPXE:
            return params_of_script(each.path.read_bytes()[:_TEXT_LIMIT].decode(errors="replace"))
    return ""


def params_of_script(script: str) -> str:
    """The words after the kernel's name in the first `kernel` line of an iPXE script."""
    for line in script.splitlines():
        command, *words = line.split() or [""]
        if command == "kernel":
            kept = (word for word in words[1:] if word != "${cmdline}")
            return " ".join(word for word in kept if not word.startswith("initrd="))
    return ""


def parse_listing(text: str) -> Iterator[Listed]:
    """The lines of a hydra-build-products file. Raises BadProduct for one that is malformed."""
    for line in filter(str.strip, text.splitlines()):
        read = _LINE.fullmatch(line)
        if read is None:
            raise BadProduct(f"hydra-build-products has a line that is no product: {line[:200]!r}.")
        yield Listed(read["type"], read["subtype"], read["quoted"] or read["path"])


def listing(output: Path) -> Iterator[Listed]:
    """What an output's hydra-build-products lists. Raises BadProduct where it has none."""
    path = output / "nix-support" / "hydra-build-products"
    try:
        text = path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise BadProduct(
            f"{output.name} has no nix-support/hydra-build-products, which lists what it offers."
        ) from missing
    except (OSError, UnicodeDecodeError) as broken:
        raise BadProduct(f"{path} can't be read: {broken}.") from broken
    return parse_listing(text)


def product(path: Path, role: Role, closure: Collection[Path], name: str = "") -> Product:
    """One file that is offered, under its own name or another. Raises BadProduct."""
    if not _NAME.fullmatch(path.name):
        raise BadProduct(
            f"The {role} has the name {path.name!r}; the name of an artifact starts with a letter "
            "or digit, then letters, digits, dots, dashes, underscores and plus signs."
        )
    target = _target(path, closure)
    found = target.stat()
    if stat.S_ISDIR(found.st_mode):
        raise BadProduct(f"{path.name} is a directory; the {role} must be one file.")
    if not stat.S_ISREG(found.st_mode):
        raise BadProduct(f"{path.name} is not a regular file.")
    if found.st_size == 0:
        raise BadProduct(f"{path.name} is empty (0 bytes).")
    return Product(name=name or path.name, role=role, path=target, size=found.st_size)


def _target(path: Path, closure: Collection[Path]) -> Path:
    """Where a product's path leads in the end; within the closure or nowhere."""
    if not path.is_absolute():
        raise BadProduct(f"{path} is listed without its full path.")
    try:
        target = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise BadProduct(
            f"{path.name} is listed as a product, but there is no {path}."
        ) from missing
    except (OSError, RuntimeError) as broken:
        raise BadProduct(f"{path.name} can't be followed to a file: {broken}.") from broken
    if not any(target.is_relative_to(reached) for reached in closure):
        raise BadProduct(f"{path.name} leads out of the output, to {target}.")
    return target


def check_roles(variant: Variant, roles: Iterable[Role]) -> None:
    """Raise BadProduct unless these are the roles that a variant consists of."""
    counts = Counter(roles)
    for role in NEEDED[variant]:
        if counts[role] == 0:
            raise BadProduct(f"The output offers no {role}, which {variant} needs.")
        if counts[role] > 1 and role != Role.TARBALL:
            raise BadProduct(
                f"The output offers {counts[role]} files as {role}; {variant} has one."
            )


def check_names(names: Iterable[str]) -> None:
    """Raise BadProduct where two files have the same name."""
    for name, count in Counter(names).items():
        if count > 1:
            raise BadProduct(f"{name} is listed {count} times.")
