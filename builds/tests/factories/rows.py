# mypy: allow-subclassing-any
"""One row each, with what it needs; what a release is led through is told in states.py."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from builds.choices import BuildStatus, Role, Stage, System, Variant, Verdict
from builds.models import Artifact, Build, Channel, Check, LogChunk, Target
from builds.pipeline import naming
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
# A release is led through its states by the factories below, and so is made further up.
RELEASE_FACTORY = "builds.tests.factories.releases.ReleaseFactory"
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


class ArtifactFactory(DjangoModelFactory):
    """One file; size and digest are those of `content`, which `stored=True` writes."""

    class Meta:
        model = Artifact

    release = factory.SubFactory(RELEASE_FACTORY, pinned=True)
    variant = Variant.NETBOOT
    role = Role.INITRD
    name = factory.LazyAttribute(lambda artifact: file_name(artifact.role, artifact.release.system))
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

    release = factory.SubFactory(RELEASE_FACTORY, pinned=True, queue=False)
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

    release = factory.SubFactory(RELEASE_FACTORY, pinned=True)
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


def file_name(role: str, system: str, variant: str = Variant.KEXEC_INSTALLER) -> str:
    """What an artifact is called."""
    tail = "" if variant == Variant.KEXEC_INSTALLER else "-noninteractive"
    return {
        Role.KERNEL: System(system).kernel_name,
        Role.INITRD: f"initrd-{system}",
        Role.IPXE: naming.script_name(system),
        Role.TARBALL: f"nixos-kexec-installer{tail}-{system}.tar.gz",
        Role.BUNDLE: f"kexec-bundle-{system}",
        Role.ISO: f"nixos-installer-{system}.iso",
    }[Role(role)]


def hex_of(text: str, digits: int) -> str:
    """Digits that look like a revision or digest, the same for the same text."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
