"""What a lane does with Django: the channel, a release before, resetting, looking, forking."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import Error, connections

from builds import pipeline, points, processes, tasks
from builds.builders.base import (
    Builder,
    BuildOutput,
    BuildRequest,
    CancelSignal,
    Pin,
    Source,
    never,
)
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import Role, System, Trigger, Variant, Verdict
from builds.emulator.watch import BootResult
from builds.models import Artifact, Build, Channel, Head, Release, Target
from builds.storage import artifacts
from builds.tests.builders.flakes import NETBOOT, SYSTEM, Flake, attribute
from builds.tests.crash import bugs, invariants
from builds.tests.crash.lane import SLOT
from builds.tests.crash.worker import Armed, fork, serve

SALT = 1_200_000  # bytes, so that each file is stored in two blocks
CHECK = "files-are-whole"


@dataclass(frozen=True)
class Salted:
    """The real Nix builder; each attempt's files get bytes of their own, as an image does whose
    build is not reproducible. Only so can a mixture of two attempts be seen."""

    nix: NixBuilder

    def pin(self, source: Source, cancelled: CancelSignal = never) -> Pin:
        return self.nix.pin(source, cancelled)

    def version(self) -> str:
        return self.nix.version()

    def provide(self, flake: str, attribute: str, cancelled: CancelSignal = never) -> Path:
        return self.nix.provide(flake, attribute, cancelled)

    def build(self, request: BuildRequest) -> BuildOutput:
        output = self.nix.build(request)
        folder = Path(tempfile.mkdtemp(prefix="salted-"))
        products = []
        for product in output.products:
            copy = folder / product.name
            copy.write_bytes(product.path.read_bytes())
            if product.role != Role.IPXE:
                with copy.open("ab") as file:
                    file.write(os.urandom(SALT))
            products.append(replace(product, path=copy, size=copy.stat().st_size))
        return replace(output, products=tuple(products))


def builder() -> Builder:
    return Salted(NixBuilder(NixSettings(offline=True)))


def files_are_whole(release: Release, cancelled: Callable[[], bool]) -> BootResult:
    """A check that takes no machine: every stored file has the digest of its row."""
    names = {artifact.name: artifact for artifact in release.artifacts.all()}
    for artifact in names.values():
        with artifacts().open_range(artifact.key, 0, artifact.size) as file:
            if invariants.digest(file.read()) != artifact.sha256:
                return _verdict(Verdict.HUNG, f"{artifact.name} is torn")
    return _verdict(Verdict.PASSED if names else Verdict.ENDED, f"{len(names)} files")


def _verdict(verdict: Verdict, reason: str) -> BootResult:
    return BootResult(verdict=verdict, reason=reason, seconds=0, accelerator="", console="")


class Rows:
    """The rows of a lane's world."""

    AWAY = (Error, OSError)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        sys.modules["builds.pipeline.checks"].CHECKS[CHECK] = files_are_whole
        pipeline.builder = builder
        processes.containment()  # tried once, here, and not in every fork
        call_command("migrate", verbosity=0)
        invariants.watch_ends()
        flake = Flake(folder / "flake", {"netboot": NETBOOT}, versions={"netboot": "12.1"}).write()
        self.channel = Channel.objects.create(
            name="demo", title="demo", flake=flake.ref, checks=[CHECK]
        )
        Target.objects.create(
            channel=self.channel,
            system=SYSTEM,
            variant=Variant.NETBOOT,
            attribute=attribute("{variant}"),
        )
        self.before = self._first()

    def _first(self) -> Release:
        """A release that is the latest before the one that is disturbed."""
        [release] = pipeline.trigger(self.channel, [System(SYSTEM)], why=Trigger.ADMIN, forced=True)
        stop = self._folder / "stop-first"
        pid = fork(lambda: serve(stop, lambda: None))
        while not Release.objects.published().filter(pk=release.pk).exists():
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise AssertionError("the first release failed")
        stop.touch()
        os.waitpid(pid, 0)
        release.refresh_from_db()
        return release

    def reset(self) -> None:
        """Forget everything but the release before."""
        connections.close_all()
        later = Release.objects.exclude(pk=self.before.pk)
        Head.objects.update(release=self.before)
        for model in (Artifact, Build):
            model.objects.filter(release__in=later).delete()
        later.delete()
        import redis

        url = settings.REDIS_URL.replace("redis+socket://", "unix://")
        redis.Redis.from_url(url).flushall()
        for key in self.keys():
            if f"/{self.before.version}/" not in key:
                artifacts().delete(key)
        pipeline.write_moving(self.channel.name)
        invariants.forget_changes()
        for folder in self._folder.glob("salted-*"):
            shutil.rmtree(folder)

    def fork(self, bug: str, stop: Path, armed: tuple[str, int, str, socket.socket]) -> int:
        """A worker that triggers the release, if nobody has, and works; armed, with a bug."""

        def work() -> None:
            bugs.seed(bug)
            points.visit(Armed(*armed))
            serve(stop, self._arrive)

        return fork(work)

    def _arrive(self) -> None:
        if Release.objects.exclude(pk=self.before.pk).exists():
            return
        for release in pipeline.trigger(
            self.channel, [System(SYSTEM)], why=Trigger.SCHEDULE, forced=True, slot_at=SLOT
        ):
            tasks.move_on(release)

    def ended(self) -> bool:
        """Whether the release has ended, well or badly."""
        return Release.objects.ended().exclude(pk=self.before.pk).exists()

    def whole(self) -> bool:
        """Whether it has ended and nothing is left to do."""
        return self.ended() and not self.wrongs(collected=False)

    def wrongs(self, *, collected: bool = True) -> list[str]:
        """What is wrong; only once it has ended are orphans collected first."""
        return invariants.wrongs(self.before, self.keys if collected else None)

    def torn(self) -> list[str]:
        return invariants.torn()

    def left_running(self, mark: str) -> list[str]:
        return invariants.left_running(mark)

    def keys(self) -> list[str]:
        """Every key in the storage."""
        if os.environ.get("CRASH_S3"):
            storage = artifacts()
            pages = storage._client.get_paginator("list_objects_v2").paginate(  # type: ignore[attr-defined]
                Bucket=os.environ["CRASH_BUCKET"]
            )
            return [item["Key"] for page in pages for item in page.get("Contents", [])]
        root = Path(os.environ["CRASH_STORAGE"]).resolve()
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
