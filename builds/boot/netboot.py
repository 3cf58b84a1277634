"""Kernel, initrd and what goes with them, for programs that load them without our script."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from builds.boot import handover
from builds.boot.addresses import immutable_url
from builds.boot.commands import verified_download
from builds.boot.options import BootOptions
from builds.boot.script import archive_path
from builds.models import Artifact, Release
from builds.pipeline.documents import netboot_of


@dataclass(frozen=True, slots=True)
class Netboot:
    """A release's kernel and initrd with boot options; `params` are the kernel's words."""

    release: Release
    options: BootOptions
    base: str
    kernel: Artifact
    initrd: Artifact
    params: tuple[str, ...]

    @classmethod
    def of(cls, release: Release, options: BootOptions, base: str) -> Netboot | None:
        """None where the release has no netboot."""
        found = netboot_of(release)
        if found is None:
            return None
        files = {artifact.name: artifact for artifact in release.artifacts.all()}
        params = (*found["params"].split(), *options.kernel_params)
        return cls(release, options, base, files[found["kernel"]], files[found["initrd"]], params)

    @property
    def has_archive(self) -> bool:
        """Whether there is anything to hand over in an archive."""
        return bool(handover.handover_files(self.options))

    @property
    def files(self) -> tuple[Artifact, Artifact]:
        """What is loaded of the release."""
        return self.kernel, self.initrd

    @property
    def kernel_url(self) -> str:
        """Where this very kernel is for good."""
        return immutable_url(self.base, self.kernel)

    @property
    def initrd_names(self) -> list[str]:
        """What is loaded behind the kernel; the archive comes first, see `composed_script`."""
        return [*([handover.NAME] if self.has_archive else []), self.initrd.name]

    @property
    def initrd_urls(self) -> list[str]:
        """The same as addresses."""
        own = [self._archive_url] if self.has_archive else []
        return [*own, immutable_url(self.base, self.initrd)]

    def download(self) -> Iterator[str]:
        """Commands that bring all of it into the current folder, and fail where it differs."""
        yield from verified_download(self.kernel, self.base)
        yield from verified_download(self.initrd, self.base)
        if self.has_archive:
            digest = hashlib.sha256(handover.handover(self.options)).hexdigest()
            yield f"curl -fLO {shlex.quote(self._archive_url)}"
            yield f'echo "{digest}  {handover.NAME}" | sha256sum -c -'

    @property
    def _archive_url(self) -> str:
        return f"{self.base}{archive_path(self.release, self.options)}"
