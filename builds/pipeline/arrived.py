"""What stands in for a builder where the files are there already: they only have to be read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from builds.builders import products
from builds.builders.base import (
    BadProduct,
    BuildCancelled,
    BuildOutput,
    BuildRequest,
    CancelSignal,
    EvaluationFailed,
    Pin,
    Product,
    Progress,
    Source,
    never,
)
from builds.choices import Role, Stage
from builds.models import Arrival, ArrivingFile, Release
from builds.pipeline.arriving import bytes_of
from builds.storage import artifacts


@dataclass(frozen=True, slots=True)
class ArrivedBuilder:
    """Gives the files of a release's arrival as products."""

    release: Release

    def pin(self, source: Source, cancelled: CancelSignal = never) -> Pin:
        """Refuse: what has arrived was pinned when it was declared."""
        raise EvaluationFailed(f"{self.release} was built elsewhere; there is nothing to evaluate.")

    def version(self) -> str:
        """Nothing builds here."""
        return ""

    def provide(self, flake: str, attribute: str, cancelled: CancelSignal = never) -> Path:
        """Refuse: nothing builds here."""
        raise EvaluationFailed(f"{self.release} was built elsewhere; {attribute} can't be built.")

    def build(self, request: BuildRequest) -> BuildOutput:
        """Read the files of one variant from the storage; see Builder."""
        request.log.stage(Stage.BUILD)
        arrival, files = self._files(request)
        scratch = _scratch()
        try:
            found = list(_products(files, scratch, request))
            products.check_roles(request.variant, (each.role for each in found))
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return BuildOutput(
            products=tuple(found),
            derivation="",
            store_path="",
            closure_size=None,
            version=arrival.image_version,
            kernel_version=arrival.kernel_version,
            kernel_params=products.kernel_params(found),
            sandboxed=None,
            builder_version="",
            memory=arrival.declared_memory,
            scratch=scratch,
        )

    def _files(self, request: BuildRequest) -> tuple[Arrival, list[ArrivingFile]]:
        arrival = Arrival.objects.filter(release=self.release).first()
        if arrival is None:
            raise BadProduct("What had arrived is not kept any more; hand it in again.")
        request.log.line(f"{arrival.get_origin_display()}: {arrival.source}".removesuffix(": "))
        return arrival, list(arrival.files.filter(variant=request.variant))


def _scratch() -> Path:
    """A folder of this build's own, beside the storage where that is one: large files fit there."""
    parent = Path(settings.DATA_DIR) / "arrivals"
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))


def _products(files: list[ArrivingFile], scratch: Path, request: BuildRequest) -> Iterator[Product]:
    expected, done = sum(file.size for file in files), 0
    for file in files:
        path = _path_of(file) or _written(file, scratch / file.name, request, done, expected)
        done += file.size
        request.log.progress(Progress(bytes_done=done, bytes_expected=expected))
        yield Product(file.name, Role(file.role), path, file.size, file.sha256)


def _path_of(file: ArrivingFile) -> Path | None:
    """The file as it lies in the storage, where that is in one piece on this machine."""
    parts = list(file.parts.all())
    return artifacts().local_path(parts[0].key) if len(parts) == 1 else None


def _written(
    file: ArrivingFile, path: Path, request: BuildRequest, done: int, expected: int
) -> Path:
    """Write a file from its parts."""
    try:
        with path.open("wb") as target:
            for block in bytes_of(file):
                if request.cancelled():
                    raise BuildCancelled("The build was cancelled.")
                target.write(block)
                progress = Progress(bytes_done=done + target.tell(), bytes_expected=expected)
                request.log.progress(progress)
    except FileNotFoundError as missing:
        raise BadProduct(f"A part of {file.name} is gone from the storage.") from missing
    return path
