# mypy: allow-subclassing-any
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

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from builds import pipeline
from builds.builders.base import Pin
from builds.choices import BuildStatus, Origin, Role, Stage, System, Trigger, Variant, Verdict
from builds.models import Artifact, Build, Channel, Check, Head, LogChunk, Release, Target
from builds.pipeline import documents
from builds.storage import artifacts

if TYPE_CHECKING:
    # factory-boy's own types say that calling a factory gives a factory.
    factory: Any
    DjangoModelFactory: Any
else:
    import factory
    from factory.django import DjangoModelFactory

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday
BOOT_CHECK = "boot-netboot-direct"
TWO_VARIANTS = (Variant.NETBOOT, Variant.KEXEC_INSTALLER)


class UserFactory(DjangoModelFactory):
    """A user; `admin=True` may do everything."""

    class Meta:
        model = get_user_model()

    class Params:
        admin = factory.Trait(is_staff=True, is_superuser=True)

    username = factory.Sequence(lambda n: f"user{n}")


class ChannelFactory(DjangoModelFactory):
    """A channel; `systems=` and `variants=` say what its targets are."""

    class Meta:
        model = Channel

    name = factory.Sequence(lambda n: f"channel-{n}")
    title = factory.LazyAttribute(lambda channel: f"What {channel.name} is")
    position = factory.Sequence(lambda n: n)
    flake = "path:images/mini"
    checks = factory.LazyFunction(lambda: [BOOT_CHECK])
    marker = "mini image is up: {system} {version}"
    slot_weekday = Channel.Weekday.SUNDAY
    slot_time = time(3, 0)
    systems = tuple(System)
    variants = TWO_VARIANTS

    @classmethod
    def _create(cls, model: type[Channel], *args: Any, **fields: Any) -> Channel:
        systems, variants = fields.pop("systems"), fields.pop("variants")
        channel: Channel = super()._create(model, *args, **fields)
        for system in systems:
            for variant in variants:
                TargetFactory(channel=channel, system=system, variant=variant)
        return channel


class TargetFactory(DjangoModelFactory):
    """One variant of a channel on one system."""

    class Meta:
        model = Target

    channel = factory.SubFactory(ChannelFactory, systems=())
    system = System.X86_64
    variant = Variant.NETBOOT
    attribute = "packages.{system}.{variant}"


class ReleaseFactory(DjangoModelFactory):
    """A release as its traits say; see the module."""

    class Meta:
        model = Release

    class Params:
        pinned = factory.Trait(state="pinned")
        finished = factory.Trait(state="finished", stored=True)
        published = factory.Trait(state="published")
        withdrawn = factory.Trait(state="withdrawn")
        failed = factory.Trait(state="failed")
        cancelled = factory.Trait(state="cancelled")
        skipped = factory.Trait(state="skipped")

    channel = factory.SubFactory(ChannelFactory)
    system = System.X86_64
    trigger = Trigger.SCHEDULE
    state = "draft"
    at = NOW - timedelta(days=2)
    version = factory.Sequence(lambda n: f"26.05.20260{n % 9 + 1}{n % 20 + 10}.{n:07x}")
    reason = "netboot failed: The builder of initrd ended with exit code 1."
    excerpt = ""
    queue = True
    stored = False
    sandboxed = True
    sizes = factory.LazyFunction(dict)

    @classmethod
    def _create(cls, model: type[Release], *args: Any, **fields: Any) -> Release:
        own = {
            name: fields.pop(name)
            for name in (
                "state",
                "at",
                "version",
                "reason",
                "excerpt",
                "queue",
                "stored",
                "sandboxed",
                "sizes",
            )
        }
        release: Release = super()._create(model, *args, **fields)
        begun_at = own["at"] - timedelta(minutes=20)
        Release.objects.filter(pk=release.pk).update(created_at=begun_at)
        release.refresh_from_db()
        _lead(release, **own)
        return release


class ArtifactFactory(DjangoModelFactory):
    """One file; size and digest are those of `content`, which `stored=True` writes."""

    class Meta:
        model = Artifact

    release = factory.SubFactory(ReleaseFactory, pinned=True)
    variant = Variant.NETBOOT
    role = Role.INITRD
    name = factory.LazyAttribute(lambda artifact: _name(artifact.role, artifact.release.system))
    content = factory.LazyAttribute(lambda artifact: f"{artifact.name} of {artifact.release}\n")
    stored = False

    @classmethod
    def _create(cls, model: type[Artifact], *args: Any, **fields: Any) -> Artifact:
        content = fields.pop("content")
        data = content.encode() if isinstance(content, str) else content
        fields.setdefault("size", len(data))
        fields.setdefault("sha256", hashlib.sha256(data).hexdigest())
        stored = fields.pop("stored")
        artifact: Artifact = super()._create(model, *args, **fields)
        if stored:
            artifacts().write_once(artifact.key, data)
        return artifact


class BuildFactory(DjangoModelFactory):
    """One attempt at the netboot of a pinned draft; `log=` are its lines."""

    class Meta:
        model = Build

    class Params:
        running = factory.Trait(
            status=BuildStatus.RUNNING,
            stage=Stage.BUILD,
            stage_seconds={"evaluate": 21.4},
            worker="worker-1:4711",
            fence=1,
            started_at=NOW - timedelta(minutes=5),
            lease_until=NOW + timedelta(days=3650),
            derivations_done=12,
            derivations_expected=29,
        )
        ended = factory.Trait(
            stage=Stage.BUILD,
            stage_seconds={"evaluate": 21.4},
            started_at=NOW - timedelta(minutes=15),
            finished_at=NOW - timedelta(minutes=1),
            derivation="/nix/store/0c7kgpz0f7cqn9d5zzzzzzzzzzzzzzzz-netboot.drv",
        )
        succeeded = factory.Trait(
            ended=True,
            status=BuildStatus.SUCCEEDED,
            stage=Stage.STORE,
            stage_seconds={"evaluate": 21.4, "build": 842.0, "store": 48.2},
            store_path="/nix/store/1d8kgpz0f7cqn9d5zzzzzzzzzzzzzzzz-netboot",
            closure_size=812_345_678,
            kernel_version="6.12.57",
            sandboxed=True,
            builder_version="nix (Nix) 2.8.0",
        )
        failed = factory.Trait(
            ended=True,
            status=BuildStatus.FAILED,
            error="The builder of initrd ended with exit code 1.",
            error_kind="DerivationFailed",
            excerpt="cpio: No space left on device",
        )
        cancelled = factory.Trait(
            ended=True,
            status=BuildStatus.CANCELLED,
            error="Cancelled by an admin.",
            error_kind="cancelled",
        )
        lost = factory.Trait(
            ended=True,
            status=BuildStatus.LOST,
            error="The worker worker-1:4711 has not been heard of since its lease ran out.",
            error_kind="lost",
            may_retry=True,
        )

    release = factory.SubFactory(ReleaseFactory, pinned=True, queue=False)
    variant = Variant.NETBOOT
    attribute = "packages.x86_64-linux.netboot"
    attempt = 1
    log: Iterable[str] = ()

    @classmethod
    def _create(cls, model: type[Build], *args: Any, **fields: Any) -> Build:
        log = list(fields.pop("log"))
        build: Build = super()._create(model, *args, **fields)
        write_log(build, log)
        return build


class CheckFactory(DjangoModelFactory):
    """One check of a pinned draft; waiting unless told otherwise."""

    class Meta:
        model = Check

    class Params:
        passed = factory.Trait(
            verdict=Verdict.PASSED, seconds=8.2, accelerator="tcg", reason="It came up."
        )
        failed = factory.Trait(
            verdict=Verdict.PANICKED,
            seconds=3.1,
            accelerator="tcg",
            reason="The kernel panicked: VFS: Unable to mount root fs",
            console="Kernel panic - not syncing: VFS: Unable to mount root fs",
        )

    release = factory.SubFactory(ReleaseFactory, pinned=True)
    name = factory.Sequence(lambda n: f"boot-way-{n}")


def write_log(build: Build, lines: Iterable[str], per_chunk: int = 100) -> None:
    """Append lines to a build's log, in chunks as the pipeline writes them."""
    last = LogChunk.objects.filter(build=build).last()
    number = last.number + 1 if last else 0
    first = last.first_line + last.text.count("\n") if last else 1
    waiting = list(lines)
    while waiting:
        some, waiting = waiting[:per_chunk], waiting[per_chunk:]
        text = "\n".join(some) + "\n"
        LogChunk.objects.create(build=build, number=number, first_line=first, text=text)
        number += 1
        first += len(some)


def _lead(release: Release, *, state: str, at: datetime, reason: str, **how: Any) -> None:
    """Bring a draft to the state that is wanted."""
    if state == "draft":
        return
    if state == "cancelled":
        release.cancel(reason, at=at)
        return
    if state == "skipped":
        head = Head.objects.of(release.channel.name, release.system)
        revision = head.release.revision if head else _hex(release.channel.name, 40)
        reason = f"The revision {revision[:7]} has not moved since the last release."
        release.skip(revision, reason, at=at)
        return
    _pin(release, how["version"], at, queue=how["queue"])
    if state == "pinned":
        return
    if state == "failed":
        _fail(release, reason, how["excerpt"], at)
        return
    finish(release, at, stored=how["stored"], sandboxed=how["sandboxed"], sizes=how["sizes"])
    if state == "finished":
        return
    _publish(release, at, stored=how["stored"])
    if state == "withdrawn":
        release.withdraw(reason, at=at + timedelta(hours=1))


def _pin(release: Release, version: str, at: datetime, *, queue: bool) -> None:
    pin = Pin(
        flake=f"github:example/images/{_hex(version, 40)}",
        overrides={},
        revision=_hex(version, 40),
        nar_hash=f"sha256-{_hex(version, 44)}",
        version=version,
        source=release.source,
    )
    release.pin(pin, at=at - timedelta(minutes=18), origin=Origin(release.origin))
    if not queue:
        return
    for target in Target.objects.of(release.channel, release.system):
        BuildFactory(release=release, variant=target.variant, attribute=target.attribute)
    for name in release.channel.checks:
        CheckFactory(release=release, name=name)


def _fail(release: Release, reason: str, excerpt: str, at: datetime) -> None:
    release.builds.update(
        status=BuildStatus.FAILED,
        stage=Stage.BUILD,
        stage_seconds={"evaluate": 21.4},
        error=reason,
        excerpt=excerpt,
        started_at=at - timedelta(minutes=17),
        finished_at=at,
    )
    release.fail(reason, excerpt, at=at)


def finish(
    release: Release,
    at: datetime,
    *,
    stored: bool = True,
    sandboxed: bool = True,
    sizes: Mapping[Role, int] = MappingProxyType({}),
) -> None:
    """Let every build of a pinned draft have left its files, and every check have passed."""
    release.builds.update(
        status=BuildStatus.SUCCEEDED,
        stage=Stage.STORE,
        stage_seconds={"evaluate": 21.4, "build": 842.0, "store": 48.2},
        started_at=at - timedelta(minutes=17),
        finished_at=at - timedelta(minutes=2),
        sandboxed=sandboxed,
        kernel_version="6.12.57",
        builder_version="nix (Nix) 2.8.0",
    )
    for build in release.builds.all():
        for role in _ROLES[Variant(build.variant)]:
            size = {"size": sizes[role]} if role in sizes and not stored else {}
            ArtifactFactory(
                release=release,
                build=build,
                variant=build.variant,
                role=role,
                name=_name(role, release.system, build.variant),
                stored=stored,
                **size,
            )
    release.checks.update(verdict=Verdict.PASSED, seconds=8.2, accelerator="tcg")


def _publish(release: Release, at: datetime, *, stored: bool) -> None:
    if stored:
        publish_held(release, at)
        return
    release.number()
    _add_script(release)
    release.publish(at=at)


def publish_held(release: Release, at: datetime) -> None:
    """Publish a draft as a worker does: under a lease of its own, without its heartbeat."""
    assert release.hold("factory")
    pipeline.publish(release, at=at)
    release.let_go()


def _add_script(release: Release) -> None:
    script = documents.boot_script(release, moving=False)
    if script is not None:
        name = documents.script_name(release.system)
        ArtifactFactory(release=release, role=Role.IPXE, name=name, content=script)


_ROLES = {
    Variant.NETBOOT: (Role.KERNEL, Role.INITRD),
    Variant.KEXEC_INSTALLER: (Role.TARBALL,),
    Variant.KEXEC_INSTALLER_NONINTERACTIVE: (Role.TARBALL,),
    Variant.KEXEC_BUNDLE: (Role.BUNDLE,),
    Variant.ISO: (Role.ISO,),
}


def _name(role: str, system: str, variant: str = Variant.KEXEC_INSTALLER) -> str:
    tail = "" if variant == Variant.KEXEC_INSTALLER else "-noninteractive"
    return {
        Role.KERNEL: System(system).kernel_name,
        Role.INITRD: f"initrd-{system}",
        Role.IPXE: documents.script_name(system),
        Role.TARBALL: f"nixos-kexec-installer{tail}-{system}.tar.gz",
        Role.BUNDLE: f"kexec-bundle-{system}",
        Role.ISO: f"nixos-installer-{system}.iso",
    }[Role(role)]


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
