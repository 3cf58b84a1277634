"""Releases: dated, numbered, immutable sets of artifacts."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Least
from django.urls import reverse

from builds.choices import (
    Act,
    BuildStatus,
    EventKind,
    Origin,
    ReleaseStatus,
    System,
    Trigger,
    Urgency,
)
from builds.models.head import Head
from builds.models.lease import is_free, lease_end
from builds.models.notice import Event
from builds.models.planned import Planned
from builds.models.release_queries import ReleaseQuerySet
from builds.models.retained import Retained
from builds.points import point
from builds.request_id import current_request_id


class NotAllowed(Exception):
    """A change of state that this row, as it stands, does not allow; the text says why."""


class Release(Planned, Retained):
    """One set of artifacts for one channel on one system.

    Its lease is held by who plans or publishes it.
    """

    trigger = models.CharField(max_length=12, choices=Trigger)
    triggered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    forced = models.BooleanField(
        default=False, help_text="Built even where the revision has not moved."
    )
    request = models.CharField(
        max_length=36,
        blank=True,
        editable=False,
        default=current_request_id,
        help_text="The id of the web request that asked for it, where one did.",
    )
    slot_at = models.DateTimeField(null=True, blank=True, help_text="The weekly slot it fills.")
    urgency = models.PositiveSmallIntegerField(
        choices=Urgency, default=Urgency.SCHEDULE, editable=False
    )
    reason = models.TextField(blank=True, help_text="Why it failed, was cancelled or withdrawn.")
    excerpt = models.TextField(blank=True, help_text="The part of the log that shows why.")
    papers = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Digests of sums and manifest by name."
    )
    signed_by = models.CharField(
        max_length=40, blank=True, editable=False, help_text="The key; empty: not signed."
    )
    scrubbed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When all its files were last hashed."
    )

    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        get_latest_by = "created_at"
        permissions = tuple(Act.permissions())
        indexes = [
            models.Index(fields=["channel", "system", "status", "-published_at"]),
            models.Index(fields=["channel", "version"]),
            models.Index(fields=["created_at", "id"]),
            models.Index(name="release_by_end", fields=["finished_at"]),
            models.Index(name="release_by_publish", fields=["-published_at", "-id"]),
            models.Index(name="release_by_status", fields=["status", "created_at", "id"]),
            # Lists of one channel on one system find their newest row, however many there are.
            models.Index(
                name="release_of_pair", fields=["channel", "system", "-created_at", "-id"]
            ),
            models.Index(
                name="release_of_pair_by_status",
                fields=["channel", "system", "status", "-created_at", "-id"],
            ),
            models.Index(
                name="release_of_pair_by_end", fields=["channel", "system", "-finished_at", "-id"]
            ),
            models.Index(
                name="release_of_pair_by_publish", fields=["channel", "system", "-published_at"]
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="release_system_is_known",
                condition=Q(system__in=sorted(System.values)),
            ),
            models.CheckConstraint(
                name="release_status_is_known",
                condition=Q(status__in=sorted(ReleaseStatus.values)),
            ),
            models.CheckConstraint(
                name="release_origin_is_known",
                condition=Q(origin__in=sorted(Origin.values)),
            ),
            models.CheckConstraint(
                name="release_revision_is_hex",
                condition=Q(revision="") | Q(revision__regex=r"\A[0-9a-f]{40}\Z"),
            ),
            models.CheckConstraint(
                name="published_release_is_whole",
                condition=~Q(status__in=sorted(ReleaseStatus.known_to_outside()))
                | Q(version__isnull=False, sequence__isnull=False, published_at__isnull=False),
            ),
            models.UniqueConstraint(
                name="one_draft_per_channel_and_system",
                fields=["channel", "system"],
                condition=Q(status=ReleaseStatus.DRAFT),
            ),
            models.UniqueConstraint(
                name="one_release_per_slot", fields=["channel", "system", "slot_at"]
            ),
            models.UniqueConstraint(
                name="one_release_per_version", fields=["channel", "system", "version"]
            ),
            models.UniqueConstraint(
                name="one_release_per_sequence", fields=["channel", "system", "sequence"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel.name} {self.version or f'draft {self.pk}'} {self.system}"

    def get_absolute_url(self) -> str:
        """The page of this release; before it has a version, that of its first build."""
        if self.version:
            return reverse("release-detail", args=[self.channel.name, self.version, self.system])
        return reverse("draft-detail", args=[self.pk])

    def hold(self, worker: str) -> bool:
        """Take this draft to plan or publish it; false where somebody else is at it."""
        return self.take(worker, is_free() & Q(status=ReleaseStatus.DRAFT))

    def beat(self) -> None:
        """Say that the worker is alive; raises LeaseLost where the draft is no longer ours."""
        self.write(Q(status=ReleaseStatus.DRAFT), lease_until=lease_end())

    # State changes. Each takes the row by a condition, so that doing it twice does it once.

    def publish(self, *, at: datetime, first_at: datetime | None = None) -> bool:
        """Make this release the latest of its channel and system; false where it was before.

        One transaction: either it is published and the head names it, or nothing has changed.
        `first_at` is when another portal published it, of one that was made there.
        """
        with transaction.atomic():
            changed = self._change(
                Q(status=ReleaseStatus.DRAFT, fence=self.fence),
                status=ReleaseStatus.PUBLISHED,
                reason="",
                published_at=first_at or at,
                finished_at=first_at or at,
            )
            point("publish: status set")
            if changed:
                Head.objects.move(self, at=at)
                point("publish: head moved")
                if self.follows_a_failure():
                    Event.objects.record(EventKind.RECOVERED, self, at=at)
                Event.objects.record(EventKind.PUBLISHED, self, at=at)
            return changed

    def hurry(self, urgency: Urgency, *, forced: bool = False) -> bool:
        """Let this draft go on as soon as it can, because somebody asked for it again."""
        changed = self._change(
            Q(status=ReleaseStatus.DRAFT),
            urgency=Least(F("urgency"), Value(int(urgency))),
            forced=self.forced or forced,
            retry_at=None,
        )
        self.builds.queued().exclude(retry_at=None).update(retry_at=None, sent_at=None)
        self.checks.waiting().exclude(retry_at=None).update(retry_at=None, sent_at=None)
        return changed

    def fill(self, slot_at: datetime) -> bool:
        """Let this draft, which somebody asked for, be the release of a weekly slot that came."""
        try:
            with transaction.atomic():
                return self._change(Q(status=ReleaseStatus.DRAFT, slot_at=None), slot_at=slot_at)
        except IntegrityError:
            return False  # another release fills it since

    def reopen(self) -> None:
        """Make a draft of this failed or cancelled release again; its version and files stay.

        Raises NotAllowed where it is neither, or where another draft stands.
        """
        try:
            with transaction.atomic():
                reopened = self._change(
                    Q(status__in=[ReleaseStatus.FAILED, ReleaseStatus.CANCELLED]),
                    status=ReleaseStatus.DRAFT,
                    urgency=Urgency.ADMIN,
                    reason="",
                    excerpt="",
                    plan_tries=0,
                    retry_at=None,
                    finished_at=None,
                )
                self.builds.succeeded().update(cancel_requested_at=None)
        except IntegrityError:
            raise NotAllowed(
                f"Another release of {self.channel} for {self.system} is in the making."
            ) from None
        if not reopened:
            raise NotAllowed(f"{self} is {self.get_status_display()}; nothing was done.")

    def fail(self, reason: str, excerpt: str = "", *, at: datetime) -> bool:
        """End this draft as failed; false where it had ended before."""
        return self._fail(reason, excerpt, at, Q())

    def fail_as_holder(self, reason: str, excerpt: str = "", *, at: datetime) -> bool:
        """The same under the lease that this instance holds; false where it is gone."""
        return self._fail(reason, excerpt, at, Q(fence=self.fence))

    def _fail(self, reason: str, excerpt: str, at: datetime, held: Q) -> bool:
        with transaction.atomic():
            failed = self._end(ReleaseStatus.FAILED, reason, excerpt, at, held)
            if failed:
                Event.objects.record(EventKind.FAILED, self, at=at)
            return failed

    def cancel(self, reason: str, *, at: datetime) -> bool:
        """End this draft as cancelled, and its builds; false where it had ended before.

        Its checks notice by themselves that there is nothing to check any more.
        """
        with transaction.atomic():
            cancelled = self._end(ReleaseStatus.CANCELLED, reason, "", at)
            if cancelled:
                for build in self.builds.active():
                    build.cancel(reason, at=at)
        return cancelled

    def withdraw(self, reason: str, *, at: datetime) -> bool:
        """Take this published release back; the head moves to the one before, if there is one."""
        with transaction.atomic():
            changed = self._change(
                Q(status=ReleaseStatus.PUBLISHED),
                status=ReleaseStatus.WITHDRAWN,
                reason=reason,
                finished_at=at,
            )
            if changed:
                Head.objects.leave(self, at=at)
                Event.objects.record(EventKind.WITHDRAWN, self, at=at)
            return changed

    def take_the_head(self, *, at: datetime) -> None:
        """Make this published release the latest again. Raises NotAllowed."""
        with transaction.atomic():
            fresh = Release.objects.select_for_update().get(pk=self.pk)
            if not fresh.is_published:
                raise NotAllowed(f"{self} is {fresh.get_status_display()}; it can't be the latest.")
            Head.objects.move(self, at=at)

    def _end(
        self, status: ReleaseStatus, reason: str, excerpt: str, at: datetime, held: Q | None = None
    ) -> bool:
        return self._change(
            Q(status=ReleaseStatus.DRAFT) & (held or Q()),
            status=status,
            reason=reason,
            excerpt=excerpt,
            finished_at=at,
        )

    def note_papers(self, digests: dict[str, str]) -> None:
        """Note the digests of the papers that were stored for this draft."""
        self.write(Q(status=ReleaseStatus.DRAFT), papers=digests)
        self.papers = digests

    def note_signatures(self, digests: dict[str, str], key: str) -> None:
        """Note the digests of all papers of this draft with their signatures, and who signed."""
        self.write(Q(status=ReleaseStatus.DRAFT), papers=digests, signed_by=key)
        self.papers, self.signed_by = digests, key

    def note_signed_again(self, digests: dict[str, str], key: str) -> bool:
        """Note other signatures of this published release; false where it is none any more."""
        papers = {**self.papers, **digests}
        return self._change(Q(status=ReleaseStatus.PUBLISHED), papers=papers, signed_by=key)

    def note_waiting(self, reason: str) -> None:
        """Note what this draft waits for before it can be published, under its lease."""
        self.write(Q(status=ReleaseStatus.DRAFT), reason=reason)

    def note_scrubbed(self, *, at: datetime) -> None:
        """Note that every file of it has been hashed."""
        self._change(Q(), scrubbed_at=at)

    def _lock_with_head(self) -> None:
        # no_key: a head that is being moved to this row holds it by its key, and waits for nobody.
        Release.objects.select_for_update(no_key=True).get(pk=self.pk)
        heads = Head.objects.filter(channel_id=self.channel_id, system=self.system)
        list(heads.select_for_update())

    # What it says of itself.

    @property
    def is_published(self) -> bool:
        """Whether its files may be read."""
        return self.status == ReleaseStatus.PUBLISHED

    @property
    def is_draft(self) -> bool:
        """Whether it is still in the making."""
        return self.status == ReleaseStatus.DRAFT

    @property
    def is_built_here(self) -> bool:
        """Whether this portal's own workers built it."""
        return self.origin == Origin.BUILT

    @property
    def sandboxed(self) -> bool | None:
        """Whether Nix isolated every build of it; None while nothing has been built."""
        said = [
            build.sandboxed
            for build in self.builds.all()
            if build.status == BuildStatus.SUCCEEDED and build.sandboxed is not None
        ]
        return all(said) if said else None

    def follows_a_failure(self) -> bool:
        """Whether the one before it on its channel and system that was tried to its end failed."""
        tried = self.siblings().tried().exclude(pk=self.pk)
        before = tried.order_by("-pk").first()
        return before is not None and before.status == ReleaseStatus.FAILED

    def total_size(self) -> int:
        """The bytes of all its artifacts together."""
        return sum(artifact.size for artifact in self.artifacts.all())

    def successor(self) -> Release | None:
        """The release that stands in its place now: the head of its channel and system."""
        head = Head.objects.of(self.channel.name, self.system)
        return head.release if head and head.release_id != self.pk else None
