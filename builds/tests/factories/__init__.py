"""Real rows for tests; they go through the models' own verbs where there are any.

    ReleaseFactory()                 a draft that waits to be planned
    ReleaseFactory(pinned=True)      with a version, waiting builds and waiting checks
    ReleaseFactory(finished=True)    with files in the storage, built and checked: to be published
    ReleaseFactory(published=True)   with all that belongs to it; the head names it
    ReleaseFactory(failed=True), (withdrawn=True), (cancelled=True), (skipped=True)
    BuildFactory(running=True), (failed=True), (cancelled=True), (lost=True), (succeeded=True)

`at=` is when a release was pinned, and published or ended. `stored=True` publishes as the
pipeline does, with the artifacts' bytes in the storage, so that they can be downloaded; without
it artifacts are rows only, and `sizes={Role.INITRD: …}` may say how large.
"""

from builds.tests.factories.releases import ReleaseFactory
from builds.tests.factories.rows import (
    BOOT_CHECK,
    NOW,
    TWO_VARIANTS,
    ArtifactFactory,
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    TargetFactory,
    UserFactory,
    write_log,
)
from builds.tests.factories.states import finish, publish_held

__all__ = [
    "BOOT_CHECK",
    "NOW",
    "TWO_VARIANTS",
    "ArtifactFactory",
    "BuildFactory",
    "ChannelFactory",
    "CheckFactory",
    "ReleaseFactory",
    "TargetFactory",
    "UserFactory",
    "finish",
    "publish_held",
    "write_log",
]
