"""Damage: stored files whose bytes are known to be wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, models, transaction
from django.db.models import Q

from builds.choices import EventKind
from builds.models.notice import Event
from builds.models.release import Release


class DamageQuerySet(models.QuerySet["Damage"]):
    """Damage by what one wants of it."""

    def unmended(self) -> DamageQuerySet:
        """What was not found right since."""
        return self.filter(mended_at=None)

    def of(self, release: Release, name: str) -> Damage | None:
        """What is wrong with this file of a release now, if anything is."""
        # With each download: there is one at most, so nothing is sorted, and nothing joined.
        found = self.unmended().filter(release=release, name=name).order_by()[:1]
        for damage in found:
            damage.release = release
            return damage
        return None

    def names(self, releases: Iterable[Release]) -> dict[int, set[str]]:
        """The names of the files that are not whole now, by the release's primary key."""
        rows = self.unmended().filter(release__in=list(releases)).values_list("release", "name")
        found: dict[int, set[str]] = {}
        for release, name in rows:
            found.setdefault(release, set()).add(name)
        return found

    def note(self, release: Release, name: str, what: str, *, at: datetime) -> tuple[Damage, bool]:
        """The row that says so, and whether it is news."""
        try:
            with transaction.atomic():
                damage = self.create(release=release, name=name, what=what, found_at=at)
                Event.objects.record(EventKind.DAMAGED, release, at=at, reason=f"{name}: {what}")
                return damage, True
        except IntegrityError:
            self.unmended().filter(release=release, name=name).update(what=what)
            return self.unmended().get(release=release, name=name), False

    def note_right(self, release: Release, name: str, *, at: datetime) -> bool:
        """Note that the file has its own bytes again; false where it had them before."""
        return bool(self.unmended().filter(release=release, name=name).update(mended_at=at))


class Damage(models.Model):
    """One file that was found with other bytes than it was stored with, or not at all.

    While it is not mended the file is not given out.
    """

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="damages")
    name = models.CharField(max_length=120)
    what = models.TextField(help_text="One sentence for a person.")
    found_at = models.DateTimeField()
    mended_at = models.DateTimeField(null=True, blank=True)

    objects = DamageQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "damage"
        ordering = ["-found_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                name="one_damage_per_file",
                fields=["release", "name"],
                condition=Q(mended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.release}: {self.what}"
