"""Builds: attempts at one variant of a release."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Max, Q
from django.db.models.functions import Now
from django.urls import reverse

from builds.choices import BuildStatus, Stage, Variant
from builds.models.build_queries import BuildQuerySet
from builds.models.lease import Leased, lease_end
from builds.models.release import Release
from builds.request_id import current_request_id

if TYPE_CHECKING:
    from builds.builders.base import BuildOutput, Progress

MOST_ATTEMPTS = 5
PAUSE_GROWS = 4
RUNNING = Q(status=BuildStatus.RUNNING)


class Build(Leased):
    """One attempt at one variant of a release; trying again is a new row."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="builds")
    variant = models.CharField(max_length=40, choices=Variant)
    attribute = models.CharField(max_length=200)
    attempt = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(
        max_length=12, choices=BuildStatus, default=BuildStatus.QUEUED, editable=False
    )
    stage = models.CharField(max_length=10, choices=Stage, blank=True, editable=False)

    sent_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was handed to the broker."
    )
    queued_at = models.DateTimeField(auto_now_add=True)
    retry_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Not before this, after a failure."
    )
    by_hand = models.BooleanField(
        default=False, editable=False, help_text="A person asked for this attempt."
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    stage_seconds = models.JSONField(default=dict, blank=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, blank=True, editable=False)

    request = models.CharField(
        max_length=36,
        blank=True,
        editable=False,
        default=current_request_id,
        help_text="The id of the web request that led to it, where one did.",
    )

    # Progress, as Nix tells it.
    derivations_done = models.PositiveIntegerField(default=0, editable=False)
    derivations_expected = models.PositiveIntegerField(default=0, editable=False)
    bytes_done = models.PositiveBigIntegerField(default=0, editable=False)
    bytes_expected = models.PositiveBigIntegerField(default=0, editable=False)

    # What it gave.
    derivation = models.CharField(max_length=300, blank=True)
    store_path = models.CharField(max_length=300, blank=True)
    source = models.CharField(
        max_length=300, blank=True, help_text="The page of this build, where it was made elsewhere."
    )
    closure_size = models.PositiveBigIntegerField(null=True, blank=True)
    kernel_version = models.CharField(max_length=100, blank=True)
    kernel_params = models.TextField(blank=True)
    declared_memory = models.PositiveIntegerField(
        null=True, blank=True, help_text="MiB of RAM that the image says it needs."
    )
    sandboxed = models.BooleanField(null=True, blank=True)
    builder_version = models.CharField(max_length=100, blank=True)

    # Why it failed.
    error = models.TextField(blank=True, help_text="One sentence for a person.")
    error_kind = models.CharField(max_length=40, blank=True)
    excerpt = models.TextField(blank=True, help_text="The part of the log that shows why.")
    may_retry = models.BooleanField(default=False)

    objects = BuildQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at", "-pk"]
        indexes = [
            models.Index(fields=["status", "lease_until"]),
            models.Index(fields=["queued_at", "id"]),
            models.Index(name="build_by_end", fields=["finished_at"]),
            models.Index(name="build_by_status", fields=["status", "-queued_at", "-id"]),
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_active_build_per_variant",
                fields=["release", "variant"],
                condition=Q(status__in=[BuildStatus.QUEUED, BuildStatus.RUNNING]),
            ),
            models.UniqueConstraint(
                name="one_build_per_attempt", fields=["release", "variant", "attempt"]
            ),
            models.CheckConstraint(
                name="build_variant_is_known",
                condition=Q(variant__in=sorted(Variant.values)),
            ),
            models.CheckConstraint(
                name="build_status_is_known",
                condition=Q(status__in=sorted(BuildStatus.values)),
            ),
            models.CheckConstraint(
                name="running_build_has_a_lease",
                condition=~Q(status=BuildStatus.RUNNING)
                | Q(lease_until__isnull=False, started_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"build {self.pk} ({self.release} {self.variant})"

    def get_absolute_url(self) -> str:
        """The page of this build."""
        return reverse("build-detail", args=[self.pk])

    # State changes, each under the lease that this instance holds.

    def start(self, worker: str) -> bool:
        """Take this queued build for a worker; false where somebody was faster."""
        return self.take(
            worker,
            Q(status=BuildStatus.QUEUED),
            status=BuildStatus.RUNNING,
            stage=Stage.EVALUATE,
            started_at=Now(),
        )

    def beat(self) -> None:
        """Say that the worker is alive; raises LeaseLost where the build is no longer ours."""
        self.write(RUNNING, lease_until=lease_end())

    def enter(self, stage: Stage, seconds: dict[str, float]) -> None:
        """Note the stage that it has come to, and the seconds that the stages before took."""
        self.write(RUNNING, stage=stage, stage_seconds=seconds, lease_until=lease_end())

    def advance(self, progress: Progress) -> None:
        """Note how far it is."""
        self.write(
            RUNNING,
            derivations_done=progress.done,
            derivations_expected=progress.expected,
            bytes_done=progress.bytes_done,
            bytes_expected=progress.bytes_expected,
            lease_until=lease_end(),
        )

    def succeed(self, output: BuildOutput, seconds: dict[str, float]) -> None:
        """End well, with what the build gave."""
        self._end(
            BuildStatus.SUCCEEDED,
            error="",
            derivation=output.derivation,
            store_path=output.store_path,
            source=output.source,
            closure_size=output.closure_size,
            kernel_version=output.kernel_version,
            kernel_params=output.kernel_params,
            declared_memory=output.memory,
            sandboxed=output.sandboxed,
            builder_version=output.builder_version,
            stage_seconds=seconds,
        )

    def fail(self, error: str, *, kind: str, excerpt: str, may_retry: bool) -> None:
        """End badly, with the reason in words."""
        self._end(
            BuildStatus.FAILED, error=error, error_kind=kind, excerpt=excerpt, may_retry=may_retry
        )

    def end_cancelled(self, reason: str) -> None:
        """End because somebody asked for it; the reason that was given then goes first."""
        asked = Build.objects.filter(pk=self.pk).exclude(error="").values_list("error", flat=True)
        reason = asked.first() or reason
        self._end(BuildStatus.CANCELLED, error=reason, error_kind="cancelled")

    def _end(self, status: BuildStatus, **fields: Any) -> None:
        self.write(RUNNING, status=status, finished_at=Now(), lease_until=None, **fields)
        self.refresh_from_db()

    # State changes from outside; they need no lease.

    def lose(self) -> bool:
        """Give up a running build whose lease has run out; false where it has not."""
        lost = Build.objects.abandoned().filter(pk=self.pk, fence=self.fence)
        return bool(
            lost.update(
                status=BuildStatus.LOST,
                finished_at=Now(),
                lease_until=None,
                may_retry=True,
                error=f"The worker {self.worker} has not been heard of since its lease ran out.",
                error_kind="lost",
            )
        )

    def cancel(self, reason: str, *, at: datetime) -> None:
        """Cancel a waiting build at once; ask the worker of a running one to stop."""
        waiting = Build.objects.queued().filter(pk=self.pk)
        if not waiting.update(
            status=BuildStatus.CANCELLED, finished_at=at, error=reason, error_kind="cancelled"
        ):
            Build.objects.running().filter(pk=self.pk).update(cancel_requested_at=at, error=reason)
        self.refresh_from_db()

    def again(self, *, at: datetime | None = None, by_hand: bool = False) -> Build | None:
        """A new attempt at the same variant, not before `at`.

        None where one waits or runs, or where there were too many since a person asked last; a
        person may always ask for one more.
        """
        siblings = Build.objects.filter(release=self.release, variant=self.variant)
        with transaction.atomic():
            Release.objects.select_for_update().get(pk=self.release_id)
            newest = siblings.aggregate(n=Max("attempt"))["n"]
            is_enough = not by_hand and self.tries >= MOST_ATTEMPTS
            if siblings.active().exists() or is_enough:
                return None
            return siblings.create(
                release=self.release,
                variant=self.variant,
                attribute=self.attribute,
                attempt=newest + 1,
                retry_at=at,
                by_hand=by_hand,
            )

    # What it says of itself.

    @property
    def is_final(self) -> bool:
        """Whether it will never change again."""
        return self.status in BuildStatus.final()

    @property
    def tries(self) -> int:
        """How many attempts there were up to this one since a person asked for one."""
        before = Build.objects.filter(
            release_id=self.release_id, variant=self.variant, attempt__lte=self.attempt
        )
        asked = before.filter(by_hand=True).aggregate(n=Max("attempt"))["n"] or 1
        return self.attempt - int(asked) + 1

    @property
    def will_be_retried(self) -> bool:
        """Whether a further attempt follows without anybody's doing."""
        return self.may_retry and self.tries < MOST_ATTEMPTS

    def is_due(self, at: datetime) -> bool:
        """Whether it waits for nothing but a worker."""
        return self.retry_at is None or self.retry_at <= at

    @property
    def expects_something(self) -> bool:
        """Whether `percent` means anything yet."""
        by_bytes = bool(self.bytes_expected) and not self.release.is_built_here
        return bool(self.derivations_expected) or by_bytes

    @property
    def percent(self) -> int:
        """How much is built of what Nix expects, or fetched of a build made elsewhere: 0 to 100."""
        if self.status == BuildStatus.SUCCEEDED:
            return 100
        if self.derivations_expected:
            return min(99, 100 * self.derivations_done // self.derivations_expected)
        if self.bytes_expected and not self.release.is_built_here:
            return min(99, 100 * self.bytes_done // self.bytes_expected)
        return 0

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


def pause(tries: int) -> timedelta:
    """How long to wait after so many failed tries: 30 s, 2 min, 8 min, 32 min by default."""
    return timedelta(seconds=settings.BUILD_RETRY_SECONDS) * int(PAUSE_GROWS ** (tries - 1))
