"""One build, from the claim to its artifacts."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import transaction

from builds.builders.base import (
    BuildCancelled,
    Builder,
    BuilderError,
    BuildOutput,
    BuildRequest,
    Pin,
    Product,
)
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import Role, Stage, System, Variant
from builds.models import Artifact, Build, LeaseLost
from builds.pipeline.heartbeat import Heartbeat
from builds.pipeline.log import BuildLog
from builds.pipeline.plan import filled
from builds.pipeline.space import refuse_if_short
from builds.pipeline.watch import Watch
from builds.storage import AlreadyStored, artifacts
from builds.storage.base import Tick, nothing

logger = logging.getLogger(__name__)


def run(build: Build, builder: Builder, *, worker: str) -> bool:
    """Build one variant and store what it gives; false where somebody has it already."""
    if not build.start(worker):
        logger.info("%s is taken or done", build)
        return False
    log = BuildLog(build)
    try:
        with Heartbeat(build) as heart:
            _run(build, builder, log, heart)
    except LeaseLost:
        logger.warning("%s was given to another worker; this one stops", build)
    return True


def _run(build: Build, builder: Builder, log: BuildLog, heart: Heartbeat) -> None:
    watch = CancelWatch(build, log, heart)
    try:
        refuse_if_short(settings.DISK_FREE_LEAST)
        output = builder.build(request_for(build, log, watch))
        log.stage(Stage.STORE)
        stored = store(build, output, log, watch.stop_if_wanted)
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
        wanted = Build.objects.filter(pk=build.pk, cancel_requested_at__isnull=False)
        self._is_wanted = Watch(wanted.exists)

    def __call__(self) -> bool:
        """See CancelSignal; also the moment in which a silent build's log is written."""
        self._log.tick()
        return self._heart.lost or self._is_wanted()

    def stop_if_wanted(self) -> None:
        """Raise LeaseLost or BuildCancelled where the work is not to go on."""
        self._log.tick()
        if self._heart.lost:
            raise LeaseLost(f"{self._build} is no longer ours")
        if self._is_wanted():
            raise BuildCancelled("The build was cancelled.")


def store(build: Build, output: BuildOutput, log: BuildLog, tick: Tick = nothing) -> list[Artifact]:
    """Put a build's products into the storage; the rows for them, not saved yet.

    The image's own iPXE script is not among them: publishing writes one that names the release.
    `tick` is called between blocks; where it raises BuildCancelled, nothing of this build stays.
    """
    stored: list[Artifact] = []
    try:
        for product in output.products:
            if product.role != Role.IPXE:
                # No comprehension: what was stored before a cancel must be known.
                stored.append(_store(build, product, log, tick))  # noqa: PERF401
    except BuildCancelled:
        for artifact in stored:
            artifacts().delete(artifact.key)
        raise
    return stored


def _store(build: Build, product: Product, log: BuildLog, tick: Tick) -> Artifact:
    release, name = build.release, product.name
    key = release.key(name)
    try:
        stored = artifacts().put_once(key, product.path, tick=tick)
    except AlreadyStored:
        if Artifact.objects.filter(release=release, name=name).exists():
            raise
        # An earlier attempt that ended before its rows were written left this behind.
        artifacts().delete(key)
        stored = artifacts().put_once(key, product.path, tick=tick)
    log.line(f"stored {name}: {stored.size} bytes, sha256 {stored.sha256}")
    return Artifact(
        release=release,
        build=build,
        variant=build.variant,
        role=product.role,
        name=name,
        size=stored.size,
        sha256=stored.sha256,
    )


def _fail(build: Build, error: BuilderError | AlreadyStored | OSError) -> None:
    if isinstance(error, BuilderError):
        kind, excerpt, may_retry = type(error).__name__, error.excerpt, error.retry
    else:
        kind, excerpt = "Storage", f"{type(error).__name__}: {error}"
        may_retry = isinstance(error, OSError)
    logger.warning("%s failed: %s", build, error)
    build.fail(str(error), kind=kind, excerpt=excerpt, may_retry=may_retry)


def builder() -> Builder:
    """The builder that the settings name."""
    return NixBuilder(
        NixSettings(
            program=settings.NIX_PROGRAM,
            offline=settings.NIX_OFFLINE,
            options=settings.NIX_OPTIONS,
        )
    )
