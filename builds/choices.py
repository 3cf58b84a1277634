"""The closed sets of the portal: systems, variants, roles, stages, statuses, verdicts."""

from __future__ import annotations

from collections.abc import Collection, Iterable

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

    @classmethod
    def loaded_by_firmware(cls) -> frozenset[Role]:
        """What iPXE and firmware load: many of them know neither HTTPS nor query strings."""
        return frozenset({cls.KERNEL, cls.INITRD, cls.IPXE})


class Console(models.TextChoices):
    """Where a machine shows its boot and has a shell, in the words of the kernel's console=."""

    SCREEN = "tty0", _("the screen")
    FIRST_SERIAL = "ttyS0,115200", _("first serial port, of a PC")
    SECOND_SERIAL = "ttyS1,115200", _("second serial port, of a PC; often the remote console")
    FIRST_ARM_SERIAL = "ttyAMA0,115200", _("first serial port, of an ARM machine")
    VIRTUAL = "hvc0", _("console of a virtual machine")


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


class Origin(models.TextChoices):
    """Where the files of a release were made."""

    BUILT = "built", _("built here")
    HYDRA = "hydra", _("built by a Hydra")
    ADOPTED = "adopted", _("adopted from a folder")
    UPLOADED = "uploaded", _("uploaded")

    @classmethod
    def arriving(cls) -> frozenset[Origin]:
        """The origins of files that are there before a release is made of them."""
        return frozenset({cls.ADOPTED, cls.UPLOADED})


class BuilderName(models.TextChoices):
    """What gets the variants of a channel built."""

    NIX = "nix", "Nix, on this portal's workers"
    HYDRA = "hydra", "a Hydra, whose finished builds are fetched"

    @property
    def origin(self) -> Origin:
        """The origin of a release that it builds."""
        return Origin.HYDRA if self is BuilderName.HYDRA else Origin.BUILT


class Urgency(models.IntegerChoices):
    """Whose work goes first where several wait; the smaller number does."""

    ADMIN = 0, "an admin waits for it"
    API = 1, "a program waits for it"
    SCHEDULE = 2, "nobody waits for it"

    @classmethod
    def of(cls, trigger: Trigger) -> Urgency:
        """How urgent what was triggered so is."""
        return {Trigger.ADMIN: cls.ADMIN, Trigger.SCHEDULE: cls.SCHEDULE}.get(trigger, cls.API)


class TransferKind(models.TextChoices):
    """How a release came here that was made elsewhere."""

    FOLLOWED = "followed", _("followed")
    IMPORTED = "imported", _("imported")


class MirrorState(models.TextChoices):
    """How a mirror stands, after its last check."""

    UNCHECKED = "unchecked", _("not checked yet")
    FRESH = "fresh", _("up to date")
    BEHIND = "behind", _("behind")
    WRONG = "wrong", _("has wrong files")
    SILENT = "silent", _("does not answer")


class Act(models.TextChoices):
    """What is done to the portal's rows by somebody, as the audit trail names it."""

    TRIGGER = "trigger", "triggered"
    CANCEL = "cancel", "cancelled"
    RETRY = "retry", "retried"
    PUBLISH = "publish", "published"
    WITHDRAW = "withdraw", "withdrew"
    ROLL_BACK = "roll-back", "rolled back to"
    KEEP = "keep", "keeps for good"
    STOP_KEEPING = "stop-keeping", "no longer keeps"
    ADD = "add", "added"
    CHANGE = "change", "changed"
    DELETE = "delete", "deleted"

    @property
    def permission(self) -> str:
        """The permission that an act on releases wants: builds.withdraw_release."""
        return f"builds.{self.codename}"

    @property
    def codename(self) -> str:
        """The permission's name within the app; who may keep may also stop keeping."""
        act = Act.KEEP if self is Act.STOP_KEEPING else self
        return f"{act.value.replace('-', '_')}_release"

    @classmethod
    def permissions(cls) -> list[tuple[str, str]]:
        """What Django is to make permissions of: name and words, one for each codename."""
        words = {act.codename: f"Can {act.value.replace('-', ' ')}" for act in cls.on_releases()}
        words[cls.KEEP.codename] = "Can keep"
        return [(codename, f"{word} release") for codename, word in words.items()]

    @classmethod
    def on_releases(cls) -> list[Act]:
        """The acts that have a page of their own; the others are edits in Django's admin."""
        return [act for act in cls if act not in {cls.ADD, cls.CHANGE, cls.DELETE}]


class Scope(models.TextChoices):
    """What an API token is for; what its owner may do bounds it at every request."""

    TRIGGER = "trigger", _("trigger releases, and retry what failed")
    CANCEL = "cancel", _("cancel builds and their releases")
    PUBLISH = "publish", _("publish drafts that have passed everything")
    WITHDRAW = "withdraw", _("withdraw published releases")
    UPLOAD = "upload", _("upload images that were built elsewhere")
    READ_DRAFTS = "read-drafts", _("read releases that are not published")

    @property
    def acts(self) -> frozenset[Act]:
        """The acts that it opens: to retry makes work for builders, as to trigger does."""
        if self is Scope.READ_DRAFTS:
            return frozenset()
        if self is Scope.UPLOAD:
            return frozenset({Act.PUBLISH})  # what passes its checks goes out to everybody
        return frozenset({Act(self.value)} | ({Act.RETRY} if self is Scope.TRIGGER else set()))

    @classmethod
    def reading_drafts(cls) -> frozenset[Scope]:
        """Those that show drafts: who acts on a draft has to see what becomes of it."""
        return frozenset(cls) - {cls.WITHDRAW}


class Standing(models.TextChoices):
    """What a person may do: the names of the groups that the portal keeps, the least first."""

    VIEWER = "viewer", "viewer"
    OPERATOR = "operator", "operator"
    ADMIN = "admin", "admin"


class Verdict(models.TextChoices):
    """What a check found; the ends of a boot that went wrong have a word each."""

    PENDING = "pending", _("waiting")
    RUNNING = "running", _("running")
    PASSED = "passed", _("passed")
    PANICKED = "panicked", _("kernel panic")
    EMERGENCY = "emergency", _("emergency shell")
    HUNG = "hung", _("no sign of life")
    ENDED = "ended", _("the machine ended early")
    LOADER = "loader", _("the loader failed")
    HANDOVER = "handover", _("the handover failed")
    DAMAGED = "damaged", _("a file is damaged")
    DIFFERS = "differs", _("differs")
    ERROR = "error", _("could not be checked")

    @classmethod
    def failed(cls) -> frozenset[Verdict]:
        """The verdicts that hold a release back, where the check is one that does."""
        return frozenset(cls) - {cls.PENDING, cls.RUNNING, cls.PASSED}


class CheckName(models.TextChoices):
    """The checks there are, in the order in which they are shown and run."""

    NETBOOT_DIRECT = "boot-netboot-direct", "kernel and initrd by themselves"
    NETBOOT_BIOS = "boot-netboot-bios", "the iPXE script over HTTP, by BIOS"
    NETBOOT_UEFI = "boot-netboot-uefi", "the iPXE script over HTTP, by UEFI"
    KEXEC_INSTALLER = "boot-kexec-installer", "kexec from a running Linux"
    KEXEC_BUNDLE = "boot-kexec-bundle", "the kexec bundle in a running Linux"
    ISO_CD_BIOS = "boot-iso-cd-bios", "the ISO as a CD, by BIOS"
    ISO_CD_UEFI = "boot-iso-cd-uefi", "the ISO as a CD, by UEFI"
    ISO_DISK_BIOS = "boot-iso-disk-bios", "the ISO on a disk, by BIOS"
    ISO_DISK_UEFI = "boot-iso-disk-uefi", "the ISO on a disk, by UEFI"
    # Last, because it may be the bytes of another tarball, which has booted by then.
    KEXEC_INSTALLER_NONINTERACTIVE = (
        "boot-kexec-installer-noninteractive",
        "kexec from a running Linux, noninteractive",
    )
    LEAST_RAM_NETBOOT = "least-ram-netboot", "how little RAM the netboot needs"
    LEAST_RAM_KEXEC_INSTALLER = (
        "least-ram-kexec-installer",
        "how little RAM a kexec into the installer needs",
    )
    LEAST_RAM_KEXEC_INSTALLER_NONINTERACTIVE = (
        "least-ram-kexec-installer-noninteractive",
        "how little RAM a kexec into the noninteractive installer needs",
    )
    LEAST_RAM_ISO = "least-ram-iso", "how little RAM the ISO needs"
    REPRODUCED = "reproduced", "every variant, built again and compared to the byte"

    @property
    def measures(self) -> bool:
        """Whether it finds a number out, and never holds a release back."""
        return self.value.startswith("least-ram-")

    @property
    def boots(self) -> bool:
        """Whether it boots one variant; the others look at the release as a whole."""
        return self is not CheckName.REPRODUCED

    @property
    def variant(self) -> Variant:
        """What it boots, of one that boots."""
        told = self.value.removeprefix("boot-").removeprefix("least-ram-")
        return max((v for v in Variant if told.startswith(v)), key=len)

    @property
    def systems(self) -> tuple[System, ...]:
        """Where it can be made: aarch64 has no BIOS."""
        return (System.X86_64,) if self.value.endswith("-bios") else tuple(System)

    def applies(self, system: str, variants: Collection[str]) -> bool:
        """Whether it can be made of what is built of these variants on a system."""
        if not self.boots:
            return bool(variants)
        return system in self.systems and self.variant in variants

    @classmethod
    def gates(cls) -> list[CheckName]:
        """Those that a release may be held back by."""
        return [name for name in cls if not name.measures]

    @classmethod
    def plainest(cls, variant: Variant) -> CheckName:
        """The one that boots a variant with the least beside it."""
        wanted = {Variant.NETBOOT: cls.NETBOOT_DIRECT, Variant.ISO: cls.ISO_CD_UEFI}
        return wanted.get(variant) or cls(f"boot-{variant}")

    @classmethod
    def missing(
        cls, names: Collection[str], systems: Iterable[str], variants: Collection[str]
    ) -> list[CheckName]:
        """What must be added so that every variant is booted before it is published."""
        booted = {
            (system, cls(name).variant)
            for system in systems
            for name in cls.planned(set(names) & {*cls.gates()}, system, variants)
            if cls(name).boots
        }
        wanted = {
            cls.plainest(Variant(variant))
            for system in systems
            for variant in variants
            if (system, variant) not in booted
        }
        return [name for name in cls if name in wanted]

    @classmethod
    def planned(
        cls,
        names: Iterable[str],
        system: str,
        variants: Collection[str],
        origin: str = Origin.BUILT,
    ) -> list[str]:
        """Of some names those that apply; one that is no name stays, to say so itself.

        What was built elsewhere can't be built again here.
        """
        left_out = set() if origin == Origin.BUILT else {cls.REPRODUCED}
        return [
            name
            for name in names
            if name not in left_out
            and (name not in cls.values or cls(name).applies(system, variants))
        ]


class EventKind(models.TextChoices):
    """What the portal tells those outside."""

    PUBLISHED = "published", "published: a release is the latest"
    FAILED = "failed", "failed: a release came to nothing"
    RECOVERED = "recovered", "recovered: the first release after a failed one"
    STALE = "stale", "stale: no release for too long"
    WITHDRAWN = "withdrawn", "withdrawn: a release was taken back"
    DAMAGED = "damaged", "damaged: a stored file has changed"
    SWITCHED_OFF = "switched-off", "switched off: a webhook is told of nothing any more"
    PING = "ping", "ping: a test"

    @classmethod
    def wanted(cls) -> list[EventKind]:
        """The kinds that a subscription may choose from; the others go to whom they are meant for.

        A test goes to one subscriber, a webhook that was switched off concerns staff alone.
        """
        return [kind for kind in cls if kind not in {cls.PING, cls.SWITCHED_OFF}]


class Means(models.TextChoices):
    """How a subscriber is told."""

    WEBHOOK = "webhook", "webhook"
    MAIL = "mail", "e-mail"


class DeliveryStatus(models.TextChoices):
    """How the telling of one event to one subscriber stands."""

    WAITING = "waiting", "waiting"
    DELIVERED = "delivered", "delivered"
    GIVEN_UP = "given-up", "given up"


class KeyStatus(models.TextChoices):
    """How a release key stands, as the root key says in keys.json."""

    CURRENT = "current", _("signs")
    NEXT = "next", _("signs next")
    RETIRED = "retired", _("signs no more; what it signed stands")
    REVOKED = "revoked", _("revoked: what it signed is worth nothing")
