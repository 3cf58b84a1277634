"""Checks: recorded verdicts on releases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from statistics import median
from types import MappingProxyType
from typing import Any

from django.db import models
from django.db.models import Count, Exists, Min, OuterRef, Q
from django.db.models.functions import Now

from builds.choices import CheckName, ReleaseStatus, Verdict
from builds.models.build import Build, pause
from builds.models.build_queries import TYPICAL_OF
from builds.models.lease import Leased, lease_end
from builds.models.load import Load
from builds.models.release import Release

RUNNING = Q(verdict=Verdict.RUNNING)
MOST_TAKEN = 10
REMEMBERED = 200  # checks
MOST_TRIES = 5


class CheckQuerySet(models.QuerySet["Check"]):
    """Checks by what one wants of them."""

    def waiting(self) -> CheckQuerySet:
        """Those that nobody has taken yet."""
        return self.filter(verdict=Verdict.PENDING)

    def due(self, at: datetime) -> CheckQuerySet:
        """Those that wait for nothing but a worker."""
        return self.waiting().filter(Q(retry_at=None) | Q(retry_at__lte=at))

    def in_turn(self) -> CheckQuerySet:
        """What a draft waits for first, of that the most urgent, and of those the oldest."""
        return self.order_by("-gates", "release__urgency", "release__created_at", "pk")

    def gating(self) -> CheckQuerySet:
        """Those that a draft waits for; most of them hold it back where they don't pass."""
        return self.filter(gates=True)

    def later(self) -> CheckQuerySet:
        """Those that are run once the release is published."""
        return self.filter(gates=False)

    def like(self, check_id: int) -> CheckQuerySet:
        """Those that need what one of them needs: a machine to boot on, or one that builds."""
        one = Check.objects.select_related("release").filter(pk=check_id).first()
        if one is not None and one.name == CheckName.REPRODUCED:
            return self.filter(name=one.name, release__system=one.release.system)
        return self.exclude(name=CheckName.REPRODUCED)

    def wanted(self) -> CheckQuerySet:
        """Those of releases that stand where they are run: drafts, and for later ones published."""
        draft = Q(gates=True, release__status=ReleaseStatus.DRAFT)
        return self.filter(draft | Q(gates=False, release__status=ReleaseStatus.PUBLISHED))

    def running(self) -> CheckQuerySet:
        """Those that a worker has."""
        return self.filter(RUNNING)

    def handed_out(self) -> CheckQuerySet:
        """Those that the broker was given and nobody has taken yet."""
        return self.waiting().wanted().filter(sent_at__isnull=False)

    def plan(
        self, release: Release, names: Iterable[str], *, gates: bool, holds_back: bool
    ) -> None:
        """Let checks wait that are not there yet, in this order."""
        self.bulk_create(
            (
                Check(release=release, name=name, gates=gates, holds_back=holds_back)
                for name in names
            ),
            ignore_conflicts=True,
        )

    def passed(self) -> CheckQuerySet:
        """Those that found what they looked for."""
        return self.filter(verdict=Verdict.PASSED)

    def timed(self, releases: Collection[int]) -> CheckQuerySet:
        """Those of these releases that passed, and how long it took."""
        found = self.passed().filter(release__in=releases, seconds__isnull=False)
        return found.order_by().only("name", "seconds", "release")

    def ended_between(self, since: datetime, until: datetime) -> CheckQuerySet:
        """Those that found something after the one time and not after the other."""
        ended = self.filter(finished_at__gt=since, finished_at__lte=until)
        return ended.exclude(verdict__in=[Verdict.PENDING, Verdict.RUNNING]).order_by()

    def failed(self) -> CheckQuerySet:
        """Those that did not find what they looked for."""
        return self.filter(verdict__in=Verdict.failed())

    def usual_durations(self, release: Release) -> dict[str, timedelta]:
        """How long each check of such a release takes: the median of its last good ones."""
        same = Check.objects.passed().filter(
            release__channel=release.channel_id, release__system=release.system
        )
        took: dict[str, list[float]] = defaultdict(list)
        for check in same.exclude(finished_at=None).order_by("-finished_at")[:REMEMBERED]:
            if check.duration is not None and len(took[check.name]) < TYPICAL_OF:
                took[check.name].append(check.duration.total_seconds())
        return {name: timedelta(seconds=median(seconds)) for name, seconds in took.items()}

    def reset(self) -> None:
        """Let them wait again, as if they had not been run."""
        for check in self.exclude(verdict=Verdict.PENDING):
            self.filter(pk=check.pk, fence=check.fence).update(
                verdict=Verdict.PENDING,
                fence=check.fence + 1,
                worker="",
                lease_until=None,
                sent_at=None,
                tries=0,
                retry_at=None,
                reason="",
                console="",
                picture="",
                memory=None,
                comparison={},
                seconds=None,
                started_at=None,
                finished_at=None,
            )

    def in_the_way(self) -> CheckQuerySet:
        """Those without which their draft is not published yet."""
        told = Q(holds_back=False, verdict__in=Verdict.failed())
        return self.exclude(told).exclude(verdict=Verdict.PASSED)

    def not_passed(self) -> CheckQuerySet:
        """Those that found nothing good, or nothing yet."""
        return self.exclude(verdict=Verdict.PASSED)

    def load(self, at: datetime) -> Load:
        """What waits and runs; those that wait for builds, too, are left out."""
        is_built = ~Q(release__pinned_at=None) & ~Exists(
            Build.objects.active().filter(release=OuterRef("release"))
        )
        due = Q(verdict=Verdict.PENDING) & (Q(retry_at=None) | Q(retry_at__lte=at))
        found = self.filter(verdict__in=[Verdict.PENDING, Verdict.RUNNING]).wanted()
        found = found.alias(is_built=is_built)
        ready = due & Q(is_built=True)
        return Load(
            **found.aggregate(
                waiting=Count("pk", filter=ready),
                oldest_at=Min("release__created_at", filter=ready),
                running=Count("pk", filter=RUNNING),
                abandoned=Count("pk", filter=RUNNING & Q(lease_until__lt=Now())),
            )
        )

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
    gates = models.BooleanField(
        default=True, editable=False, help_text="The release is not published before it is made."
    )
    holds_back = models.BooleanField(
        default=True, editable=False, help_text="The release fails where it does not pass."
    )
    picture = models.CharField(
        max_length=120,
        blank=True,
        editable=False,
        help_text="The name, among the release's files, of what the screen showed at the end.",
    )
    memory = models.PositiveIntegerField(
        null=True, blank=True, editable=False, help_text="MiB of the machine that was booted."
    )
    comparison = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="Of two builds of the release: what was compared, where, and what differs.",
    )
    sent_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was handed to the broker."
    )
    tries = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often it could not be checked."
    )
    retry_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Not before this, after a failure."
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = CheckQuerySet.as_manager()

    class Meta:
        ordering = ["release", "name"]
        indexes = [
            models.Index(name="check_by_end", fields=["finished_at"]),
            models.Index(
                name="check_unended",
                fields=["verdict"],
                condition=Q(verdict__in=[Verdict.PENDING, Verdict.RUNNING]),
            ),
        ]
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
        self,
        verdict: Verdict,
        reason: str,
        *,
        seconds: float,
        accelerator: str,
        console: str,
        picture: str = "",
        memory: int | None = None,
        comparison: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Record what was found."""
        self.write(
            RUNNING,
            verdict=verdict,
            reason=reason,
            retry_at=None,
            seconds=round(seconds, 1),
            accelerator=accelerator,
            console=console,
            picture=picture,
            memory=memory,
            comparison=dict(comparison),
            finished_at=Now(),
            lease_until=None,
        )
        self.refresh_from_db()

    def put_back(self, reason: str) -> None:
        """Let it wait again because it is not wanted now; `reconcile` sends it where it is."""
        self.write(RUNNING, verdict=Verdict.PENDING, reason=reason, worker="", lease_until=None)

    def miss(self, reason: str, *, at: datetime) -> None:
        """Record that something else than the release was in the way.

        It is tried again after a pause that grows; the last time that is its verdict. Nothing
        waits for another try of a check that holds nothing back.
        """
        tries = self.tries + 1
        if tries >= MOST_TRIES or (self.gates and not self.holds_back):
            reason = f"{reason} That was the last of {tries} tries." if tries > 1 else reason
            self.conclude(Verdict.ERROR, reason, seconds=0, accelerator="", console="")
            return
        self.write(
            RUNNING,
            verdict=Verdict.PENDING,
            reason=reason,
            tries=tries,
            retry_at=at + pause(tries),
            worker="",
            lease_until=None,
        )
        self.refresh_from_db()

    def give_up(self, reason: str) -> bool:
        """Say that a check that nobody has taken could not be made; false where somebody has."""
        left = self._rows().filter(verdict=Verdict.PENDING, pk=self.pk, fence=self.fence)
        given_up = left.update(verdict=Verdict.ERROR, reason=reason, finished_at=Now())
        self.reread()
        return bool(given_up)

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
        return self.fence < MOST_TAKEN

    def is_due(self, at: datetime) -> bool:
        """Whether it waits for nothing but a worker."""
        return self.retry_at is None or self.retry_at <= at

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at

    @property
    def was_made_later(self) -> bool:
        """Whether it has found something since its release was published."""
        return not self.gates and self.has_ended

    @property
    def has_passed(self) -> bool:
        """Whether it found what it looked for."""
        return self.verdict == Verdict.PASSED

    @property
    def has_failed(self) -> bool:
        """Whether it did not find what it looked for."""
        return self.verdict in Verdict.failed()

    @property
    def kept_files(self) -> list[str]:
        """The names, among the release's files, of what was kept of two builds that differ."""
        return list(self.comparison.get("kept", []))

    @property
    def has_ended(self) -> bool:
        """Whether it has a verdict."""
        return self.has_passed or self.has_failed

    @property
    def lets_through(self) -> bool:
        """Whether its release may be published for all that it found."""
        return self.has_passed or (self.has_failed and not self.holds_back)
