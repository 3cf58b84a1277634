"""Checks: recorded verdicts on releases."""

from __future__ import annotations

from collections.abc import Collection

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from builds.choices import Verdict
from builds.models.lease import Leased, lease_end
from builds.models.release import Release

RUNNING = Q(verdict=Verdict.RUNNING)
MOST_TRIES = 10


class CheckQuerySet(models.QuerySet["Check"]):
    """Checks by what one wants of them."""

    def waiting(self) -> CheckQuerySet:
        """Those that nobody has taken yet."""
        return self.filter(verdict=Verdict.PENDING)

    def in_turn(self) -> CheckQuerySet:
        """The most urgent first, and of those the oldest."""
        return self.order_by("release__urgency", "release__created_at", "pk")

    def passed(self) -> CheckQuerySet:
        """Those that found what they looked for."""
        return self.filter(verdict=Verdict.PASSED)

    def timed(self, releases: Collection[int]) -> CheckQuerySet:
        """Those of these releases that passed, and how long it took."""
        found = self.passed().filter(release__in=releases, seconds__isnull=False)
        return found.order_by().only("name", "seconds", "release")

    def failed(self) -> CheckQuerySet:
        """Those that hold their release back."""
        return self.filter(verdict__in=Verdict.failed())

    def reset(self) -> None:
        """Let them wait again, as if they had not been run."""
        for check in self.exclude(verdict=Verdict.PENDING):
            self.filter(pk=check.pk, fence=check.fence).update(
                verdict=Verdict.PENDING,
                fence=check.fence + 1,
                worker="",
                lease_until=None,
                sent_at=None,
                reason="",
                console="",
                seconds=None,
                started_at=None,
                finished_at=None,
            )

    def not_passed(self) -> CheckQuerySet:
        """Those that found nothing good, or nothing yet."""
        return self.exclude(verdict=Verdict.PASSED)

    def abandoned(self) -> CheckQuerySet:
        """Those whose worker has not been heard of for a whole lease."""
        return self.filter(RUNNING, lease_until__lt=Now())


class Check(Leased):
    """One recorded verdict on a release."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="checks")
    name = models.CharField(max_length=60)
    verdict = models.CharField(
        max_length=12, choices=Verdict, default=Verdict.PENDING, editable=False
    )
    reason = models.TextField(blank=True, help_text="One sentence for a person.")
    seconds = models.FloatField(null=True, blank=True, help_text="Until the verdict was clear.")
    accelerator = models.CharField(
        max_length=10, blank=True, help_text="kvm, or tcg where it was emulated."
    )
    console = models.TextField(blank=True, help_text="The end of what the machine printed.")
    sent_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was handed to the broker."
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = CheckQuerySet.as_manager()

    class Meta:
        ordering = ["release", "name"]
        constraints = [
            models.UniqueConstraint(name="one_check_per_name", fields=["release", "name"]),
            models.CheckConstraint(
                name="check_verdict_is_known",
                condition=Q(verdict__in=sorted(Verdict.values)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.release}"

    def start(self, worker: str) -> bool:
        """Take this waiting check for a worker; false where somebody was faster."""
        return self.take(
            worker,
            Q(verdict=Verdict.PENDING),
            verdict=Verdict.RUNNING,
            started_at=Now(),
        )

    def beat(self) -> None:
        """Say that the worker is alive; raises LeaseLost where the check is no longer ours."""
        self.write(RUNNING, lease_until=lease_end())

    def conclude(
        self, verdict: Verdict, reason: str, *, seconds: float, accelerator: str, console: str
    ) -> None:
        """Record what was found."""
        self.write(
            RUNNING,
            verdict=verdict,
            reason=reason,
            seconds=round(seconds, 1),
            accelerator=accelerator,
            console=console,
            finished_at=Now(),
            lease_until=None,
        )
        self.refresh_from_db()

    def put_back(self, reason: str) -> None:
        """Let it wait again because something else than the release was in the way.

        It is not sent again at once: `reconcile` does that, so that it is tried a while later.
        """
        self.write(RUNNING, verdict=Verdict.PENDING, reason=reason, worker="", lease_until=None)

    def wait_again(self) -> bool:
        """Put a check whose worker is gone back among those that wait; false where it is not.

        One that took several workers with it could not be checked, and says so.
        """
        gone = Check.objects.abandoned().filter(pk=self.pk, fence=self.fence)
        if self.may_be_tried_again:
            return bool(gone.update(verdict=Verdict.PENDING, worker="", lease_until=None))
        return bool(
            gone.update(
                verdict=Verdict.ERROR,
                reason=f"None of the {self.fence} workers that took it came back.",
                finished_at=Now(),
                lease_until=None,
            )
        )

    @property
    def may_be_tried_again(self) -> bool:
        """Whether it was taken fewer times than it may be; each time raises the fence."""
        return self.fence < MOST_TRIES

    @property
    def has_passed(self) -> bool:
        """Whether it found what it looked for."""
        return self.verdict == Verdict.PASSED

    @property
    def has_failed(self) -> bool:
        """Whether it holds its release back."""
        return self.verdict in Verdict.failed()
