"""One build, from the claim to its artifacts."""

from __future__ import annotations

import logging
import shutil

from django.conf import settings
from django.db import transaction

from builds.builders.base import (
    BuildCancelled,
    Builder,
    BuilderError,
    BuildOutput,
    BuildRequest,
    CancelSignal,
    LogSink,
    Pin,
)
from builds.builders.kexec_tarball import look_into
from builds.choices import Role, Stage, System, Variant
from builds.models import Artifact, Build, BuildRecord, LeaseLost
from builds.pipeline.archive import log_digest
from builds.pipeline.heartbeat import Heartbeat
from builds.pipeline.log import BuildLog
from builds.pipeline.patience import insist
from builds.pipeline.plan import filled
from builds.pipeline.space import refuse_if_short
from builds.pipeline.store import drop, set_aside, settle
from builds.pipeline.watch import Watch
from builds.points import point
from builds.storage import AlreadyStored

logger = logging.getLogger(__name__)


def run(build: Build, builder: Builder, *, worker: str) -> bool:
    """Build one variant and store what it gives; false where somebody has it already."""
    point("build: message taken")
    if not build.start(worker):
        logger.info("%s is taken or done", build)
        return False
    point("build: row taken")
    logger.info("%s has begun, attempt %s", build, build.attempt)
    log = BuildLog(build)
    try:
        with Heartbeat(build) as heart:
            _run(build, builder, log, heart)
    except LeaseLost:
        logger.warning("%s was given to another worker; this one stops", build)
    else:
        logger.info("%s has ended: %s", build, build.status)
    return True


def _run(build: Build, builder: Builder, log: BuildLog, heart: Heartbeat) -> None:
    watch = CancelWatch(build, log, heart)
    try:
        refuse_if_short(settings.DISK_FREE_LEAST)
        request = request_for(build, log, watch)
        output = builder.build(request)
        point("build: built")
        _keep(build, output, log, watch)
    except BuildCancelled as error:
        if heart.lost:
            raise LeaseLost(f"{build} may be somebody else's by now") from error
        log.close()
        reason = str(error)
        insist(lambda: build.end_cancelled(reason), str(build))
    except (BuilderError, AlreadyStored, OSError) as error:
        log.close()
        _fail(build, error)


def _keep(build: Build, output: BuildOutput, log: BuildLog, watch: CancelWatch) -> None:
    """Store what the build gave; what can't be committed is removed again."""
    try:
        _look_into(output, log, watch)
        log.stage(Stage.STORE)
        stored = set_aside(build, output, log, watch.stop_if_wanted)
        log.close()
        point("build: all set aside")
        insist(lambda: _commit(build, output, stored, log), str(build))
    except BaseException:
        drop(build, output)
        raise
    finally:
        if output.scratch is not None:
            shutil.rmtree(output.scratch, ignore_errors=True)
    point("build: committed")
    try:
        settle(build.release)
    except OSError as error:
        logger.warning("the files of %s get their names later: %s", build, error)


def _look_into(output: BuildOutput, log: BuildLog, watch: CancelWatch) -> None:
    """Refuse a tarball that nobody should unpack, before it is stored."""
    for product in output.products:
        if product.role == Role.TARBALL:
            with product.path.open("rb") as file:
                found = look_into(file, product.name, watch.stop_if_wanted)
            log.line(f"{product.name} holds {found.members} members, {found.size} bytes")


def _commit(build: Build, output: BuildOutput, stored: list[Artifact], log: BuildLog) -> None:
    log_sha256 = log_digest(build) if output.how is not None else ""
    with transaction.atomic():
        build.succeed(output, log.close_stage())
        point("build: status set")
        if output.how is not None:
            BuildRecord.objects.note(build, output.how, log_sha256=log_sha256)
        Artifact.objects.bulk_create(stored)
        point("build: rows written")


def request_for(build: Build, log: LogSink, cancelled: CancelSignal) -> BuildRequest:
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


def _fail(build: Build, error: BuilderError | AlreadyStored | OSError) -> None:
    if isinstance(error, BuilderError):
        kind, excerpt, may_retry = type(error).__name__, error.excerpt, error.retry
    else:
        kind, excerpt = "Storage", f"{type(error).__name__}: {error}"
        may_retry = isinstance(error, OSError)
    logger.warning("%s failed: %s", build, error)
    said = str(error)
    insist(
        lambda: build.fail(said, kind=kind, excerpt=excerpt, may_retry=may_retry),
        str(build),
    )
