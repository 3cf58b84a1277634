"""Products on their way into the storage: set aside by each attempt, settled by the rows.

Storage knows no fences: a worker that was paused past its lease may write or delete late. So an
attempt writes only under keys of its own, and a file gets its final key only from a committed
row. Whoever does that, and however late, puts the very bytes there that the row names.
"""

from __future__ import annotations

import logging

from builds.builders.base import BadProduct, BuildOutput, Product
from builds.choices import BuildStatus, Role
from builds.models import Artifact, Build, Release
from builds.pipeline.log import BuildLog
from builds.pipeline.patience import AWAY
from builds.points import point
from builds.storage import artifacts, staging_key
from builds.storage.base import Tick, nothing

logger = logging.getLogger(__name__)


def set_aside(
    build: Build, output: BuildOutput, log: BuildLog, tick: Tick = nothing
) -> list[Artifact]:
    """Put a build's products beside the releases; the rows for them, not saved yet.

    The image's own iPXE script is not among them: publishing writes one that names the release.
    `tick` is called between blocks; where it raises, the file at hand is not stored.
    """
    return [
        _set_aside(build, product, log, tick)
        for product in output.products
        if product.role != Role.IPXE
    ]


def settle(release: Release) -> None:
    """Give every artifact that a row names its final key; doing it again does nothing.

    Raises OSError where the storage fails.
    """
    for artifact in release.artifacts.exclude(build=None).exclude(role=Role.IPXE):
        point("settle: before a file")
        assert artifact.build_id is not None, "those without a build are left out"
        staged = staging_key(artifact.build_id, artifact.name)
        artifacts().settle(staged, release.key(artifact.name))
    point("settle: all there")


def drop(build: Build, output: BuildOutput) -> None:
    """Remove what an attempt set aside in vain; `collect` does it where this can't."""
    try:
        if Build.objects.filter(pk=build.pk, status=BuildStatus.SUCCEEDED).exists():
            return
        for product in output.products:
            artifacts().delete(staging_key(build.pk, product.name))
    except (OSError, *AWAY) as error:
        logger.warning("what %s set aside is left to be collected: %s", build, error)


def _set_aside(build: Build, product: Product, log: BuildLog, tick: Tick) -> Artifact:
    point("store: before a file")
    key = staging_key(build.pk, product.name)
    stored = artifacts().put_once(key, product.path, tick=tick)
    if product.sha256 not in {"", stored.sha256}:
        raise BadProduct(
            f"{product.name} has changed since it came here: its SHA-256 is {stored.sha256}, and "
            f"was {product.sha256}."
        )
    point("store: file set aside")
    log.line(f"stored {product.name}: {stored.size} bytes, sha256 {stored.sha256}")
    return Artifact(
        release=build.release,
        build=build,
        variant=build.variant,
        role=product.role,
        name=product.name,
        size=stored.size,
        sha256=stored.sha256,
    )
