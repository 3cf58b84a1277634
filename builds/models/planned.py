"""What planning gives a release: its sources, fixed, and its version; or a reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from django.db import IntegrityError, models, transaction
from django.db.models import F, Max, Q

from builds import storage
from builds.choices import Origin, ReleaseStatus, System
from builds.models.channel import Channel
from builds.models.lease import Leased, LeaseLost
from builds.models.release_queries import ReleaseQuerySet

if TYPE_CHECKING:
    from builds.builders.base import Pin
    from builds.models.release import Release


class Planned(Leased):
    """A draft whose sources are fixed once; until then it can be postponed or skipped."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="releases")
    system = models.CharField(max_length=20, choices=System)
    status = models.CharField(
        max_length=12, choices=ReleaseStatus, default=ReleaseStatus.DRAFT, editable=False
    )
    plan_tries = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often its source could not be reached."
    )
    retry_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Not planned before this, after a failure."
    )

    # What it is made of; empty until the source is pinned.
    origin = models.CharField(
        max_length=10,
        choices=Origin,
        default=Origin.BUILT,
        editable=False,
        help_text="Where its files were made.",
    )
    source = models.CharField(
        max_length=300,
        blank=True,
        editable=False,
        help_text="What is known of where they were made, if not here: an address, a folder.",
    )
    flake = models.CharField(max_length=600, blank=True)
    overrides = models.JSONField(default=dict, blank=True)
    revision = models.CharField(max_length=40, blank=True)
    nar_hash = models.CharField(max_length=100, blank=True)
    image_version = models.CharField(
        max_length=100, blank=True, help_text="What the image calls itself."
    )
    version = models.CharField(  # noqa: DJ001 - NULLs are not equal, so drafts need no name
        max_length=110, null=True, blank=True, help_text="Its name within the channel."
    )
    sequence = models.PositiveIntegerField(null=True, blank=True, editable=False)

    pinned_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    # State changes. Each takes the row by a condition, so that doing it twice does it once.

    def pin(self, pin: Pin, *, at: datetime, origin: Origin = Origin.BUILT) -> bool:
        """Fix what this release is made of and give it its version; false where that was done."""
        for version in _candidate_versions(pin.name or pin.version):
            try:
                with transaction.atomic():
                    return self._change(
                        Q(status=ReleaseStatus.DRAFT, pinned_at=None, fence=self.fence),
                        origin=origin,
                        source=pin.source,
                        flake=pin.flake,
                        overrides=dict(pin.overrides),
                        revision=pin.revision,
                        nar_hash=pin.nar_hash,
                        image_version=pin.version,
                        version=version,
                        reason="",
                        excerpt="",
                        pinned_at=at,
                    )
            except IntegrityError:
                if not self.siblings().filter(version=version):
                    raise
        raise AssertionError("unreachable: versions never run out")

    def number(self) -> int:
        """Give this release its place in the sequence of its channel and system, once."""
        while self.sequence is None:
            self._number(Q(sequence=None), above=0)
        return self.sequence

    def number_again(self, *, above: int) -> None:
        """Give this draft a later place: up to `above` all are taken, whatever the rows say.

        Raises LeaseLost.
        """
        while self.sequence is None or self.sequence <= above:
            before = self.sequence
            held = Q(sequence=before, status=ReleaseStatus.DRAFT, fence=self.fence)
            if not self._number(held, above=above) and self.sequence == before:
                raise LeaseLost(f"release {self.pk} is no longer ours")

    def _number(self, held: Q, *, above: int) -> bool:
        """Take the next number; false where the row is not as `held` says, or it was taken."""
        newest = self.siblings().aggregate(n=Max("sequence"))["n"] or 0
        try:
            with transaction.atomic():
                return self._change(held, sequence=max(newest, above) + 1)
        except IntegrityError:
            return False  # another release took that number in between

    def postpone(self, reason: str, excerpt: str, *, until: datetime) -> bool:
        """Let this draft, whose source could not be reached, be planned again later."""
        return self._change(
            Q(status=ReleaseStatus.DRAFT, pinned_at=None, fence=self.fence),
            plan_tries=F("plan_tries") + 1,
            retry_at=until,
            reason=reason,
            excerpt=excerpt,
        )

    def skip(self, revision: str, reason: str, *, at: datetime) -> bool:
        """End this draft because nobody wants its revision again; under its planner's lease."""
        return self._change(
            Q(status=ReleaseStatus.DRAFT, pinned_at=None, fence=self.fence),
            status=ReleaseStatus.CANCELLED,
            revision=revision,
            reason=reason,
            finished_at=at,
        )

    # What it says of itself.

    def siblings(self) -> ReleaseQuerySet:
        """The releases of its channel and system, itself among them."""
        row = cast("type[Release]", type(self))
        return ReleaseQuerySet(row).of(self.channel, self.system)

    def is_postponed(self, at: datetime) -> bool:
        """Whether it waits for a time before it is planned again."""
        return self.retry_at is not None and self.retry_at > at

    @property
    def was_skipped(self) -> bool:
        """Whether it was left out because its revision had been published before."""
        cancelled = self.status == ReleaseStatus.CANCELLED
        return cancelled and self.pinned_at is None and bool(self.revision)

    def key(self, name: str) -> str:
        """Where a file of this release lies in the storage, and its immutable URL's path."""
        assert self.version is not None, "only a pinned release has files"
        return storage.release_key(self.channel.name, self.version, name)

    def _change(self, held: Q, **fields: Any) -> bool:
        changed = self._rows().filter(held, pk=self.pk).update(**fields)
        self.reread()
        return bool(changed)


def _candidate_versions(base: str) -> Iterator[str]:
    """The base itself, then base-2, base-3 … without end."""
    yield base
    for number in count(2):
        yield f"{base}-{number}"
