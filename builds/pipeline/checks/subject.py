"""What a check is given: a release's stored files, what tells that it is up, how much RAM."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from builds.choices import Role, System, Variant, Verdict
from builds.emulator.machine import Machine
from builds.emulator.watch import BootFailed, BootResult, Watched, boot, nothing_more
from builds.models import Artifact, Release
from builds.pipeline.scrub import Expected, difference
from builds.storage import artifacts
from builds.storage.base import blocks


@dataclass(frozen=True, slots=True)
class Subject:
    """A release under check.

    `memory` is in MiB, that of the machine that boots; `limit` in seconds, for each thing that
    is waited for. `cancelled` is asked several times a second.
    """

    release: Release
    cancelled: Callable[[], bool]
    memory: int
    limit: float

    @classmethod
    def of(cls, release: Release, cancelled: Callable[[], bool], memory: int) -> Subject:
        """A release with the limits that the settings name."""
        return cls(release, cancelled, memory, settings.BOOT_TIME_LIMIT)

    @property
    def system(self) -> System:
        """What it runs on."""
        return System(self.release.system)

    @property
    def marker(self) -> str:
        """What its console shows when it is up."""
        return self.release.channel.marker_for(self.release)

    def artifact(self, role: Role, variant: Variant) -> Artifact:
        """The file of this role, of several forms the gzip one. Raises BootFailed."""
        found = self.release.artifacts.filter(role=role, variant=variant).select_related("build")
        first = min(found, key=lambda each: not each.name.endswith(".gz"), default=None)
        if first is None:
            raise BootFailed(Verdict.ERROR, f"The release has no {role} of {variant} to boot.")
        # Else each use of its key would read the release again.
        first.release = self.release
        return first

    @contextmanager
    def local(self, *wanted: Artifact) -> Iterator[list[Path]]:
        """Stored artifacts as files on this machine, whole ones. Raises BootFailed, OSError."""
        with ExitStack() as open_files:
            for artifact in wanted:
                refuse_if_damaged(artifact)
            yield [open_files.enter_context(local_copy(artifact)) for artifact in wanted]

    def boot(self, machine: Machine, then: Callable[[Watched], None] = nothing_more) -> BootResult:
        """Boot a machine until it is up, and what else must be true is true."""
        return boot(
            machine, marker=self.marker, timeout=self.limit, cancelled=self.cancelled, then=then
        )


def refuse_if_damaged(artifact: Artifact) -> None:
    """Raises BootFailed where the storage holds other bytes than the row says; OSError."""
    expected = Expected(artifact.name, artifact.sha256, artifact.size)
    wrong = difference(artifact.key, expected, lambda _size: None)
    if wrong:
        raise BootFailed(Verdict.DAMAGED, f"{artifact.name} in the storage: {wrong}")


@contextmanager
def local_copy(artifact: Artifact) -> Iterator[Path]:
    """A stored artifact as a file on this machine, fetched where it lies elsewhere."""
    path = artifacts().local_path(artifact.key)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / artifact.name
        with copy.open("wb") as target:
            for block in blocks(artifacts().open_range(artifact.key, 0, artifact.size)):
                target.write(block)
        yield copy
