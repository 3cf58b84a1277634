"""One build, from the claim to its artifacts."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from django.conf import settings
from django.db import transaction

from builds.builders.base import (
    BuildCancelled,
    Builder,
    BuilderError,
    BuildOutput,
    BuildRequest,
    Pin,
)
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import Role, Stage, System, Variant
from builds.models import Artifact, Build, LeaseLost
from builds.pipeline.heartbeat import Heartbeat
from builds.pipeline.log import BuildLog
from builds.pipeline.plan import filled
from builds.storage import AlreadyStored, artifacts

logger = logging.getLogger(__name__)

ASK_FOR_CANCEL_EVERY = 1.0


def run(build: Build, builder: Builder, *, worker: str) -> None:
    """Build one variant and store what it gives; does nothing where somebody has it already."""
    if not build.start(worker):
        logger.info("%s is taken or done", build)
        return
    log = BuildLog(build)
    try:
        with Heartbeat(build) as heart:
            _run(build, builder, log, heart)
    except LeaseLost:
        logger.warning("%s was given to another worker; this one stops", build)


def _run(build: Build, builder: Builder, log: BuildLog, heart: Heartbeat) -> None:
    try:
        output = builder.build(request_for(build, log, CancelWatch(build, log, heart)))
        log.stage(Stage.STORE)
        stored = store(build, output, log)
        log.close()
        with transaction.atomic():
            build.succeed(output, log.close_stage())
            Artifact.objects.bulk_create(stored)
    except BuildCancelled as error:
        log.close()
        build.end_cancelled(str(error))
    except (BuilderError, AlreadyStored, OSError) as error:
        log.close()
        _fail(build, error)


def request_for(build: Build, log: BuildLog, cancelled: CancelWatch) -> BuildRequest:
    """The frozen request for a build's row."""
    release = build.release
    pin = Pin(
        flake=release.flake,
        overrides=release.overrides,
        revision=release.revision,
        nar_hash=release.nar_hash,
        version=release.image_version,
    )
    return BuildRequest(
        pin=pin,
        attribute=filled(build.attribute, release.system, build.variant),
        system=System(release.system),
        variant=Variant(build.variant),
        log=log,
        cancelled=cancelled,
        time_limit=settings.BUILD_TIME_LIMIT,
        silence_limit=settings.BUILD_SILENCE_LIMIT,
    )


class CancelWatch:
    """Tells a builder to stop: somebody asked for it, or the lease is lost."""

    def __init__(self, build: Build, log: BuildLog, heart: Heartbeat) -> None:
        self._build = build
        self._log = log
        self._heart = heart
        self._asked = 0.0
        self._answer = False

    def __call__(self) -> bool:
        """See CancelSignal; also the moment in which a silent build's log is written."""
        self._log.tick()
        if self._heart.lost:
            return True
        now = time.monotonic()
        if now - self._asked >= ASK_FOR_CANCEL_EVERY:
            self._asked = now
            wanted = Build.objects.filter(pk=self._build.pk, cancel_requested_at__isnull=False)
            self._answer = wanted.exists()
        return self._answer


def store(build: Build, output: BuildOutput, log: BuildLog) -> list[Artifact]:
    """Put a build's products into the storage; the rows for them, not saved yet.

    The image's own iPXE script is not among them: publishing writes one that names the release.
    """
    return [
        _store(build, product.name, product.role, product.path, log)
        for product in output.products
        if product.role != Role.IPXE
    ]


def _store(build: Build, name: str, role: Role, path: Path, log: BuildLog) -> Artifact:
    release = build.release
    key = release.key(name)
    try:
        stored = artifacts().put_once(key, path)
    except AlreadyStored:
        if Artifact.objects.filter(release=release, name=name).exists():
            raise
        # An earlier attempt that ended before its rows were written left this behind.
        artifacts().delete(key)
        stored = artifacts().put_once(key, path)
    log.line(f"stored {name}: {stored.size} bytes, sha256 {stored.sha256}")
    return Artifact(
        release=release,
        build=build,
        variant=build.variant,
        role=role,
        name=name,
        size=stored.size,
        sha256=stored.sha256,
    )


def _fail(build: Build, error: BuilderError | AlreadyStored | OSError) -> None:
    if isinstance(error, BuilderError):
        kind, excerpt, may_retry = type(error).__name__, error.excerpt, error.retry
    else:
        kind, excerpt, may_retry = "Storage", "", isinstance(error, OSError)
    logger.warning("%s failed: %s", build, error)
    build.fail(str(error), kind=kind, excerpt=excerpt, may_retry=may_retry)


def builder() -> Builder:
    """The builder that the settings name."""
    return NixBuilder(NixSettings(program=settings.NIX_PROGRAM, offline=settings.NIX_OFFLINE))
