"""What retention notes on a release: kept for good, marked, expired, its files removed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from builds.choices import BuildStatus, ReleaseStatus

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PUBLISHED = Q(status=ReleaseStatus.PUBLISHED)


class Retained(models.Model):
    """A row whose files are kept for a while, or for good."""

    kept_at = models.DateTimeField(null=True, blank=True, editable=False)
    kept_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    kept_reason = models.TextField(blank=True, editable=False, help_text="Why it never expires.")
    marked_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was first found that it may go."
    )
    expired_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when its files are not given out."
    )
    files_removed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the storage had none of them left."
    )

    class Meta:
        abstract = True

    # State changes. Each takes the row by a condition, so that doing it twice does it once.

    def keep(self, reason: str, *, by: User | None, at: datetime) -> bool:
        """Keep its files for good; false where they are kept, or on their way out, already."""
        return self._change(
            Q(kept_at=None, files_removed_at=None) & ~Q(status=ReleaseStatus.EXPIRED),
            kept_at=at,
            kept_by=by,
            kept_reason=reason,
            marked_at=None,
        )

    def stop_keeping(self) -> bool:
        """Let its channel's rules hold for it again; false where they did."""
        return self._change(Q(kept_at__isnull=False), kept_at=None, kept_by=None, kept_reason="")

    def mark(self, *, at: datetime) -> bool:
        """Note that its channel's rules let it go; false where that was noted before."""
        return self._change(PUBLISHED & Q(marked_at=None, kept_at=None), marked_at=at)

    def unmark(self) -> bool:
        """Note that its channel's rules hold it after all; false where it was not marked."""
        return self._change(PUBLISHED & Q(marked_at__isnull=False), marked_at=None)

    def expire(self, *, marked_before: datetime, unread_since: datetime, at: datetime) -> bool:
        """Give its files out no more; false where anything speaks against it by now.

        It must be published, marked long enough, kept by nobody, no head, and unread for a while.
        """
        with transaction.atomic():
            # Whoever withdraws it, or moves the head to it, waits now or is waited for.
            self._lock_with_head()
            return self._change(
                PUBLISHED
                & Q(kept_at=None, marked_at__lte=marked_before, heads=None)
                & ~Q(artifacts__last_read_at__gt=unread_since),
                status=ReleaseStatus.EXPIRED,
                expired_at=at,
            )

    def note_removed(self, *, at: datetime) -> bool:
        """Note that the storage has none of its files left; false where that was noted."""
        return self._change(Q(files_removed_at=None), files_removed_at=at)

    # What it says of itself.

    @property
    def is_kept(self) -> bool:
        """Whether somebody wants its files kept for good."""
        return self.kept_at is not None

    @property
    def is_expired(self) -> bool:
        """Whether it was published and its time is over."""
        return self.expired_at is not None

    @property
    def days_kept(self) -> int:
        """How many days its files could be read, of a release that has expired."""
        published_at = getattr(self, "published_at", None)
        if self.expired_at is None or published_at is None:
            return 0
        return int((self.expired_at - published_at).days)

    def _lock_with_head(self) -> None:
        """Lock this row, then the head of the same channel and system."""
        raise NotImplementedError

    def _change(self, held: Q, **fields: Any) -> bool:
        raise NotImplementedError


def leaving(*, expired_before: datetime, failed_before: datetime, withdrawn_before: datetime) -> Q:
    """The releases whose files may be deleted from the storage now."""
    failed = [ReleaseStatus.FAILED, ReleaseStatus.CANCELLED]
    ended = (
        Q(status=ReleaseStatus.EXPIRED, expired_at__lte=expired_before)
        | Q(status__in=failed, finished_at__lte=failed_before)
        | Q(status=ReleaseStatus.WITHDRAWN, finished_at__lte=withdrawn_before)
    )
    left = Q(files_removed_at=None, kept_at=None, version__isnull=False)
    return ended & left & ~Q(builds__status__in=BuildStatus.active())
