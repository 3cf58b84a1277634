"""How releases, builds and what belongs to them stand, and where they come from."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


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


class KeyStatus(models.TextChoices):
    """How a release key stands, as the root key says in keys.json."""

    CURRENT = "current", _("signs")
    NEXT = "next", _("signs next")
    RETIRED = "retired", _("signs no more; what it signed stands")
    REVOKED = "revoked", _("revoked: what it signed is worth nothing")
