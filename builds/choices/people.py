"""What people and programs may do, and what they are told."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


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
