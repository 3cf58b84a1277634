"""Takes a folder of image files that were built elsewhere as a release of a channel."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builds.builders.base import Product
from builds.builders.folder import Found, read_folder
from builds.choices import Origin, System
from builds.models import Actor, Arrival, Channel, NotAllowed, Release
from builds.pipeline.arrivals import Declaration, Declared, declare, finish, wanted_variants
from builds.pipeline.arriving import adopt_file, forget
from builds.pipeline.makers import closure_of


@dataclass(frozen=True, slots=True)
class Adoption:
    """A folder, and what to make of it; "" where the folder itself is to tell.

    `source` says where the files were made; `partial`: see Declaration.
    """

    channel: Channel
    system: System
    folder: Path
    version: str = ""
    revision: str = ""
    source: str = ""
    partial: bool = False


def adopt(what: Adoption, say: Callable[[str], None], *, by: Actor, at: datetime) -> Release:
    """The draft that is made of a folder; `say` gets a line for each file, taken or not.

    Raises BadProduct and NotAllowed where it can't be a release, OSError where the storage fails;
    then nothing is left of it.
    """
    if Release.objects.of(what.channel, what.system).drafts().exists():
        raise NotAllowed(f"Another release of {what.channel} for {what.system} is in the making.")
    found = read_folder(what.folder, what.system, closure_of(what.folder))
    for line in found.left_out:
        say(f"left out: {line}")
    files = _wanted(what, found, say)
    arrival = declare(_declaration(what, found, files), by=by, at=at)
    try:
        _store(arrival, files, say, at)
        return finish(arrival, by=by, at=at)
    except BaseException:
        forget(arrival)
        raise


def _wanted(what: Adoption, found: Found, say: Callable[[str], None]) -> list[Product]:
    """The files of the variants that the channel has."""
    wanted = wanted_variants(what.channel, what.system)
    files = []
    for variant, products in found.products.items():
        for product in products:
            if variant in wanted:
                say(f"recognised: {product.name}, the {product.role} of {variant}")
                files.append(product)
            else:
                say(f"left out: {product.name}: {what.channel} has no {variant}")
    if not files:
        raise NotAllowed(f"{what.channel} has none of these on {what.system}.")
    return files


def _declaration(what: Adoption, found: Found, files: Collection[Product]) -> Declaration:
    version = what.version or found.facts.version
    if not version:
        raise NotAllowed("The folder does not say which version it is; say it with --version.")
    return Declaration(
        channel=what.channel,
        system=what.system,
        files=[Declared(file.name, file.size, _claimed(found, file)) for file in files],
        origin=Origin.ADOPTED,
        version=version,
        revision=what.revision,
        source=what.source or _told(what.folder),
        image_version=found.facts.version,
        kernel_version=found.facts.kernel_version,
        memory=found.facts.memory,
        partial=what.partial,
    )


def _claimed(found: Found, file: Product) -> str:
    """What the folder's own sums file says of a file; "" where it says nothing."""
    return found.digests.get(file.name) or found.digests.get(file.path.name, "")


def _told(folder: Path) -> str:
    """A folder as everybody may read it: its name, or its store path, which tells more."""
    place = folder.resolve()
    return str(place) if place.is_relative_to("/nix/store") else place.name


def _store(
    arrival: Arrival, files: Collection[Product], say: Callable[[str], None], at: datetime
) -> None:
    paths = {file.name: file.path for file in files}
    for file in arrival.files.all():
        adopt_file(file, paths[file.name], at=at)
        say(f"stored: {file.name}, {file.size} bytes, sha256 {file.sha256}")
