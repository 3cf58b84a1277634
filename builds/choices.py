"""The closed sets of the portal: systems, variants, roles, stages, statuses, verdicts."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class System(models.TextChoices):
    """The Nix double of the machine that an image boots on."""

    X86_64 = "x86_64-linux", "x86_64-linux"
    AARCH64 = "aarch64-linux", "aarch64-linux"

    @property
    def architecture(self) -> str:
        """The word that users read and iPXE's ${buildarch} is mapped to: x86_64, aarch64."""
        return self.value.partition("-")[0]

    @property
    def queue(self) -> str:
        """The Celery queue of the builds for this system: build.x86_64-linux."""
        return f"build.{self.value}"

    @property
    def kernel_name(self) -> str:
        """The kernel's file name in a netboot: bzImage-… on x86_64, Image-… on aarch64."""
        stem = "bzImage" if self is System.X86_64 else "Image"
        return f"{stem}-{self.value}"

    @property
    def serial_console(self) -> str:
        """The Linux name of the first serial port of the usual machines of this system."""
        return "ttyS0" if self is System.X86_64 else "ttyAMA0"


class Variant(models.TextChoices):
    """The kind of image."""

    NETBOOT = "netboot", _("Netboot")
    KEXEC_INSTALLER = "kexec-installer", _("Kexec installer")
    KEXEC_INSTALLER_NONINTERACTIVE = (
        "kexec-installer-noninteractive",
        _("Kexec installer, noninteractive"),
    )
    KEXEC_BUNDLE = "kexec-bundle", _("Kexec bundle")
    ISO = "iso", _("ISO")


class Role(models.TextChoices):
    """What an artifact is for."""

    KERNEL = "kernel", _("Kernel")
    INITRD = "initrd", _("Initrd")
    IPXE = "ipxe", _("iPXE script")
    TARBALL = "tarball", _("Kexec tarball")
    BUNDLE = "bundle", _("Kexec bundle")
    ISO = "iso", _("ISO")


class Stage(models.TextChoices):
    """Where a running build is."""

    EVALUATE = "evaluate", _("Evaluate")
    BUILD = "build", pgettext_lazy("stage", "Build")
    STORE = "store", _("Store")


class BuildStatus(models.TextChoices):
    """How a build stands."""

    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    LOST = "lost", _("lost")

    @classmethod
    def final(cls) -> frozenset[BuildStatus]:
        """The statuses that a build never leaves."""
        return frozenset({cls.SUCCEEDED, cls.FAILED, cls.CANCELLED, cls.LOST})

    @classmethod
    def active(cls) -> frozenset[BuildStatus]:
        """The statuses of a build that still has something to do."""
        return frozenset({cls.QUEUED, cls.RUNNING})


class ReleaseStatus(models.TextChoices):
    """How a release stands."""

    DRAFT = "draft", _("in the making")
    PUBLISHED = "published", _("published")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    WITHDRAWN = "withdrawn", _("withdrawn")
    EXPIRED = "expired", _("expired")

    @classmethod
    def known_to_outside(cls) -> frozenset[ReleaseStatus]:
        """The statuses of a release that was published once."""
        return frozenset({cls.PUBLISHED, cls.WITHDRAWN, cls.EXPIRED})


class Trigger(models.TextChoices):
    """Why a release exists."""

    SCHEDULE = "schedule", _("the weekly schedule")
    ADMIN = "admin", _("an admin")
    API = "api", _("the API")
    FIRST_START = "first-start", _("the first start")


class Urgency(models.IntegerChoices):
    """Whose work goes first where several wait; the smaller number does."""

    ADMIN = 0, "an admin waits for it"
    API = 1, "a program waits for it"
    SCHEDULE = 2, "nobody waits for it"

    @classmethod
    def of(cls, trigger: Trigger) -> Urgency:
        """How urgent what was triggered so is."""
        return {Trigger.ADMIN: cls.ADMIN, Trigger.SCHEDULE: cls.SCHEDULE}.get(trigger, cls.API)


class Verdict(models.TextChoices):
    """What a check found; the ends of a boot that went wrong have a word each."""

    PENDING = "pending", _("waiting")
    RUNNING = "running", _("running")
    PASSED = "passed", _("passed")
    PANICKED = "panicked", _("kernel panic")
    EMERGENCY = "emergency", _("emergency shell")
    HUNG = "hung", _("no sign of life")
    ENDED = "ended", _("the machine ended early")
    ERROR = "error", _("could not be checked")

    @classmethod
    def failed(cls) -> frozenset[Verdict]:
        """The verdicts that hold a release back."""
        return frozenset({cls.PANICKED, cls.EMERGENCY, cls.HUNG, cls.ENDED, cls.ERROR})


class EventKind(models.TextChoices):
    """What the portal tells those outside."""

    PUBLISHED = "published", "published: a release is the latest"
    FAILED = "failed", "failed: a release came to nothing"
    RECOVERED = "recovered", "recovered: the first release after a failed one"
    STALE = "stale", "stale: no release for too long"
    WITHDRAWN = "withdrawn", "withdrawn: a release was taken back"
    PING = "ping", "ping: a test"

    @classmethod
    def wanted(cls) -> list[EventKind]:
        """The kinds that a subscription may choose from; a test goes to whom it is sent."""
        return [kind for kind in cls if kind is not cls.PING]


class Means(models.TextChoices):
    """How a subscriber is told."""

    WEBHOOK = "webhook", "webhook"
    MAIL = "mail", "e-mail"


class DeliveryStatus(models.TextChoices):
    """How the telling of one event to one subscriber stands."""

    WAITING = "waiting", "waiting"
    DELIVERED = "delivered", "delivered"
    GIVEN_UP = "given-up", "given up"
