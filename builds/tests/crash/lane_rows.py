"""What a lane does with Django: the channel, a release before, resetting, looking, forking."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from botocore.config import Config
from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.db import Error, connection, connections
from django.utils import timezone
from kombu.exceptions import OperationalError

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
from builds.signing import Keyring
from builds.storage import BucketStorage, artifacts
from builds.storage.keys import KEYS
from builds.tests.builders.flakes import NETBOOT, SYSTEM, Flake, attribute
from builds.tests.crash import bugs, invariants
from builds.tests.crash.lane import SLOT
from builds.tests.crash.worker import QUEUES, Armed, fork, serve
from builds.tests.tarballs import tarball, written

SALT = 1_200_000  # bytes, so that each file is stored in two blocks
CHECK = "files-are-whole"
TARBALL = f"""
run mkdir -p $out
{written("$out/installer-demo.tar.gz")}
product tarball $out/installer-demo.tar.gz
"""


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
        output = self._output(request)
        folder = Path(tempfile.mkdtemp(prefix="salted-"))
        products = []
        for product in output.products:
            copy = folder / product.name
            data = product.path.read_bytes()
            if product.role == Role.TARBALL:
                data = tarball(os.urandom(SALT))
            elif product.role != Role.IPXE:
                data += os.urandom(SALT)
            copy.write_bytes(data)
            products.append(replace(product, path=copy, size=copy.stat().st_size))
        return replace(output, products=tuple(products))

    def _output(self, request: BuildRequest) -> BuildOutput:
        """What Nix gives; of the second variant what it gave the first time, to save time."""
        known = Path(tempfile.gettempdir()) / f"{request.variant}.pickle"
        if request.variant == Variant.NETBOOT:
            return self.nix.build(request)
        if not known.exists():
            known.write_bytes(pickle.dumps(self.nix.build(request)))
        return cast("BuildOutput", pickle.loads(known.read_bytes()))


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


def prepare() -> None:
    """Let this process, and its forks, build and check as a lane does."""
    sys.modules["builds.pipeline.checks"].CHECKS[CHECK] = files_are_whole
    pipeline.builder = builder
    pipeline.builder_for = lambda release: builder()
    processes.containment()  # tried once, here, and not in every fork


def arrive() -> None:
    """Ask for the release that is to be disturbed, if nobody has; the first one is there before."""
    before = Release.objects.order_by("pk")[:1].get()
    if Release.objects.exclude(pk=before.pk).exists():
        return
    for release in pipeline.trigger(
        before.channel, [System(SYSTEM)], why=Trigger.SCHEDULE, forced=True, slot_at=SLOT
    ):
        tasks.move_on(release)


def _migrate() -> None:
    """Make the tables; what ends a worker that is paused in a transaction may not end this."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 0")
    call_command("migrate", verbosity=0)
    connection.close()


def _be_patient() -> Config | None:
    """Let this process wait for a slow bucket, unlike its workers; how those are to wait."""
    storage = artifacts()
    if not isinstance(storage, BucketStorage):
        return None
    hasty: Config = storage.client_config
    patient = hasty.merge(Config(connect_timeout=5, read_timeout=20))
    cast("Any", storage).client_config = patient
    return hasty


class Rows:
    """The rows of a lane's world."""

    AWAY = (Error, OSError)
    TICK = 0.7  # seconds

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        prepare()
        self._hasty = _be_patient()
        _migrate()
        self._keyring = Keyring(Path(settings.SIGNER_KEYS))
        self._keyring.make(at=timezone.now())
        invariants.watch_ends()
        images = {Variant.NETBOOT.value: NETBOOT, Variant.KEXEC_INSTALLER.value: TARBALL}
        versions = dict.fromkeys(images, "12.1")
        flake = Flake(folder / "flake", images, versions=versions).write()
        self.channel = Channel.objects.create(
            name="demo", title="demo", flake=flake.ref, checks=[CHECK]
        )
        for variant in images:
            Target.objects.create(
                channel=self.channel,
                system=SYSTEM,
                variant=variant,
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
            time.sleep(0.1)
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
            if f"/{self.before.version}/" not in key and not key.startswith(f"{KEYS}/"):
                artifacts().delete(key)
        # The next case's release is another one under the same number.
        lines = self._keyring.ledger.read_bytes().splitlines(keepends=True)
        self._keyring.ledger.write_bytes(lines[0])
        pipeline.write_moving(self.channel.name)
        invariants.forget_changes()
        for folder in self._folder.glob("salted-*"):
            shutil.rmtree(folder)

    def fork(self, bug: str, stop: Path, armed: tuple[str, int, str, socket.socket]) -> int:
        """A worker that triggers the release, if nobody has, and works; armed, with a bug."""

        def work() -> None:
            if self._hasty:
                cast("Any", artifacts()).client_config = self._hasty
            bugs.seed(bug)
            points.visit(Armed(*armed))
            serve(stop, arrive)

        return fork(work)

    def start(self, bug: str, armed: tuple[str, int, str, socket.socket]) -> int:
        """The same as a worker of Celery's own, in a process group of its own."""
        point, nth, act, controller = armed
        said = {"bug": bug, "point": point, "nth": nth, "act": act, "socket": controller.fileno()}
        words = ["--queues", ",".join(QUEUES), "--concurrency", "1"]
        with (self._folder / "errors").open("ab") as errors:
            worker = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "--quiet"),
                    *("--app", "builds.tests.crash.transport", "worker", "--hostname"),
                    *(f"{uuid.uuid4()}@%h", *words, "--without-mingle", "--without-gossip"),
                ],
                cwd=settings.BASE_DIR,
                env=os.environ | {"CRASH_ARMED": json.dumps(said)},
                pass_fds=[controller.fileno()],
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._started.append(worker)
        return worker.pid

    def tick(self) -> None:
        """What Celery's beat does; and ask for the release."""
        with suppress(OperationalError):
            current_app.send_task("reconcile", expires=self.TICK * 2)
            current_app.send_task("crash-arrive", expires=self.TICK * 2)

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
            pages = storage.client.get_paginator("list_objects_v2").paginate(  # type: ignore[attr-defined]
                Bucket=os.environ["CRASH_BUCKET"]
            )
            return [item["Key"] for page in pages for item in page.get("Contents", [])]
        root = Path(os.environ["CRASH_STORAGE"]).resolve()
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
