"""Channels: the moving branches that are followed, and what is built of each."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse

from builds.choices import BuilderName, ReleaseStatus, System, Variant
from builds.models.flake import flake_inputs, flake_ref, input_name

if TYPE_CHECKING:
    from builds.models.release import Release

RESERVED_NAMES = frozenset({"download", "latest"})
channel_name = RegexValidator(
    r"\A[a-z0-9][a-z0-9.-]{0,62}\Z",
    "A channel's name is lowercase letters, digits, dots and hyphens, and starts with a letter "
    "or digit.",
)
WEEK = timedelta(days=7)


def not_reserved(name: str) -> None:
    """Refuse the names that stand for something else in download URLs."""
    if name in RESERVED_NAMES:
        raise ValidationError(f"“{name}” has a meaning in download URLs; choose another name.")


TARGET_SYSTEM = "target_system"


class ChannelQuerySet(models.QuerySet["Channel"]):
    """Channels by what one wants of them."""

    def active(self) -> ChannelQuerySet:
        """Those that are built when their slot comes."""
        return self.filter(is_active=True)

    def for_first_start(self) -> ChannelQuerySet:
        """Those that an empty portal builds at once."""
        return self.active().filter(builds_at_first_start=True)

    def with_history(self) -> ChannelQuerySet:
        """Those of which something was published once."""
        return self.filter(releases__status__in=ReleaseStatus.known_to_outside()).distinct()

    def with_systems(self) -> dict[Channel, set[str]]:
        """Each with the systems that it is built for, in their order, from one query."""
        built_for: dict[Channel, set[str]] = {}
        for channel in self.annotate(**{TARGET_SYSTEM: models.F("targets__system")}):
            systems = built_for.setdefault(channel, set())
            system = getattr(channel, TARGET_SYSTEM)
            if system is not None:
                systems.add(system)
        return built_for

    def with_latest(self) -> ChannelQuerySet:
        """With targets, heads and their releases, in a fixed number of queries."""
        return self.prefetch_related("targets", "heads__release")

    def with_head(self) -> ChannelQuerySet:
        """Those that have a latest release on some system."""
        return self.filter(heads__isnull=False).distinct()

    def in_words(self) -> str:
        """Their names as the end of a sentence that says which there are."""
        return ", ".join(self.values_list("name", flat=True)) or "none yet"

    def default(self) -> Channel | None:
        """The channel that a visitor is shown first, None where there is none at all."""
        return self.order_by("-is_default", "position", "name").first()


class Channel(models.Model):
    """A moving branch that we follow, such as nixos-unstable."""

    class Weekday(models.IntegerChoices):
        """Days as Python counts them."""

        MONDAY = 0, "Monday"
        TUESDAY = 1, "Tuesday"
        WEDNESDAY = 2, "Wednesday"
        THURSDAY = 3, "Thursday"
        FRIDAY = 4, "Friday"
        SATURDAY = 5, "Saturday"
        SUNDAY = 6, "Sunday"

    name = models.CharField(max_length=63, unique=True, validators=[channel_name, not_reserved])
    title = models.CharField(max_length=120, help_text="What it is, in a few words.")
    position = models.PositiveSmallIntegerField(default=0, help_text="Order on the pages.")
    builder = models.CharField(
        max_length=10,
        choices=BuilderName,
        default=BuilderName.NIX,
        help_text="What gets its images built.",
    )
    flake = models.CharField(
        max_length=500,
        help_text="Flake ref; a relative path: is meant from the project's root. With a Hydra: "
        "the address of a jobset's jobs, https://hydra.example.org/job/PROJECT/JOBSET.",
    )
    overrides = models.JSONField(
        default=dict, blank=True, help_text="Inputs of the flake and the refs that replace them."
    )
    revision_input = models.CharField(
        max_length=100,
        blank=True,
        help_text="The input whose revision names a release; empty: the flake itself.",
    )
    checks = models.JSONField(
        default=list, blank=True, help_text="Names of the checks that gate a release."
    )
    checks_told = models.JSONField(
        default=list,
        blank=True,
        help_text="Names of the checks that a release waits for, and that hold none back.",
    )
    checks_after = models.JSONField(
        default=list,
        blank=True,
        help_text="Names of the checks that are run once a release is published.",
    )
    ssh = models.BooleanField(
        default=False, help_text="A booted image must also answer by ssh before it counts as up."
    )
    marker = models.CharField(
        max_length=200,
        blank=True,
        help_text="What a booted image prints on its console; {system} and {version} are filled.",
    )
    slot_weekday = models.PositiveSmallIntegerField(
        choices=Weekday, default=Weekday.SUNDAY, validators=[MaxValueValidator(6)]
    )
    slot_time = models.TimeField(default=time(3, 0), help_text="UTC.")
    slot_moved_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when it has this slot."
    )
    is_active = models.BooleanField(default=True, help_text="Built when its slot comes.")
    is_default = models.BooleanField(default=False, help_text="Shown first.")
    end_of_life = models.DateField(
        null=True, blank=True, help_text="From this day on the branch gets no more updates."
    )
    keep_last = models.PositiveSmallIntegerField(
        default=12,
        validators=[MinValueValidator(1)],
        help_text="So many releases of each system are kept, however old.",
    )
    keep_days = models.PositiveSmallIntegerField(
        default=90, help_text="Releases are kept for so many days, however many."
    )
    builds_at_first_start = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.CheckConstraint(
                name="channel_name_is_not_reserved",
                condition=~models.Q(name__in=sorted(RESERVED_NAMES)),
                violation_error_message="“download” and “latest” can't be names of channels.",
            ),
            models.CheckConstraint(
                name="channel_slot_weekday_is_a_day",
                condition=models.Q(slot_weekday__gte=0, slot_weekday__lte=6),
            ),
            models.CheckConstraint(
                name="channel_keeps_a_release",
                condition=models.Q(keep_last__gte=1),
            ),
            models.CheckConstraint(
                name="channel_builder_is_known",
                condition=models.Q(builder__in=sorted(BuilderName.values)),
            ),
            models.UniqueConstraint(
                name="one_default_channel",
                fields=["is_default"],
                condition=models.Q(is_default=True),
                violation_error_message="Another channel is the default one already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page of this channel's history."""
        return reverse("channel-detail", args=[self.name])

    def clean(self) -> None:
        """Refuse what Nix must never be handed: see builds.models.flake."""
        found: dict[str, ValidationError] = {}
        for field, check, value in (
            ("flake", flake_ref, self.flake),
            ("overrides", flake_inputs, self.overrides),
            ("revision_input", input_name, self.revision_input),
        ):
            try:
                if value:
                    check(value)
            except ValidationError as error:
                found[field] = error
        if found:
            raise ValidationError(found)

    def stop_building(self) -> bool:
        """Build nothing of it any more when its slot comes; false where that was so."""
        stopped = Channel.objects.active().filter(pk=self.pk).update(is_active=False)
        self.is_active = False
        return bool(stopped)

    def systems(self) -> list[System]:
        """The systems that it is built for, in the order of System."""
        present = set(self.targets.values_list("system", flat=True))
        return [system for system in System if system in present]

    def slot_at_or_before(self, at: datetime) -> datetime:
        """The newest weekly slot that is not later than `at` (aware, UTC)."""
        slot = at.replace(
            hour=self.slot_time.hour, minute=self.slot_time.minute, second=0, microsecond=0
        ) - timedelta(days=(at.weekday() - self.slot_weekday) % 7)
        return slot if slot <= at else slot - WEEK

    def next_slot(self, at: datetime) -> datetime:
        """The first weekly slot later than `at`."""
        return self.slot_at_or_before(at) + WEEK

    def has_ended(self, today: date) -> bool:
        """Whether the branch gets no more updates."""
        return self.end_of_life is not None and self.end_of_life <= today

    def marker_for(self, release: Release) -> str:
        """What an image of this release prints on its console when it is up."""
        # Not str.format: {version:>9999999999} is a marker, too, and takes all memory.
        filled = self.marker.replace("{system}", release.system)
        return filled.replace("{version}", release.image_version)


class TargetQuerySet(models.QuerySet["Target"]):
    """Targets by what one wants of them."""

    def of(self, channel: Channel, system: str) -> TargetQuerySet:
        """What one release of this channel on this system consists of."""
        return self.filter(channel=channel, system=system)


class Target(models.Model):
    """One variant that a channel builds on one system, and the attribute that names it."""

    ATTRIBUTE = r"\A[A-Za-z0-9_.{}\"'-]+\Z"

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="targets")
    system = models.CharField(max_length=20, choices=System)
    variant = models.CharField(max_length=40, choices=Variant)
    attribute = models.CharField(
        max_length=200,
        validators=[RegexValidator(ATTRIBUTE, "Not an attribute path.")],
        help_text="Path inside the flake, or a Hydra's job; {host} is the system of the worker "
        "that builds.",
    )

    objects = TargetQuerySet.as_manager()

    class Meta:
        ordering = ["channel", "system", "variant"]
        constraints = [
            models.UniqueConstraint(
                name="one_target_per_variant", fields=["channel", "system", "variant"]
            ),
            models.CheckConstraint(
                name="target_system_is_known",
                condition=models.Q(system__in=sorted(System.values)),
            ),
            models.CheckConstraint(
                name="target_variant_is_known",
                condition=models.Q(variant__in=sorted(Variant.values)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.system} {self.variant}"
