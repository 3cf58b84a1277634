"""The audit trail: who did what to what, in a chain that nobody edits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from django.db import models, transaction
from django.db.models import Model, Q

from builds.choices import Act, System
from builds.models.actor import Actor
from builds.models.build import Build
from builds.models.channel import Channel
from builds.models.host import Host
from builds.models.release import Release
from builds.request_id import current_request_id

GENESIS = "0" * 64
DIGEST = r"\A[0-9a-f]{64}\Z"
# What an entry's digest covers, beside its time.
_SAID = (
    *("number", "who", "user_pk", "act", "kind", "row", "what", "channel", "system"),
    *("reason", "request", "previous"),
)


class AppendOnly(Exception):
    """Somebody tried to change or remove what was recorded."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What was acted on, in words that outlive the row: its kind, key, name, channel, system."""

    kind: str
    row: int | None
    what: str
    channel: str = ""
    system: str = ""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Entries by what one wants of them; they are added by `record` and by nothing else."""

    def newest_first(self) -> AuditQuerySet:
        """As one reads them."""
        return self.order_by("-number")

    def by(self, who: str) -> AuditQuerySet:
        """Those of one user, or of what else acts."""
        return self.filter(who=who)

    def of_channel(self, channel: str) -> AuditQuerySet:
        """Those that concern a channel, its releases or its builds."""
        return self.filter(channel=channel)

    def record(
        self, act: Act, row: Model | Subject, *, by: Actor, at: datetime, reason: str = ""
    ) -> AuditEntry:
        """Add an entry; call it last in the transaction of the act itself.

        The chain is locked from here to the end of that transaction, so that no other one can
        follow the same entry.
        """
        subject = row if isinstance(row, Subject) else subject_of(row)
        with transaction.atomic(using=self.db):
            tip, _ = AuditTip.objects.select_for_update().get_or_create(pk=AuditTip.ONLY)
            entry = AuditEntry(
                number=tip.number + 1,
                at=at,
                who=by.name[:200],
                user_pk=by.user_pk,
                act=act,
                kind=subject.kind,
                row=subject.row,
                what=subject.what[:300],
                channel=subject.channel,
                system=subject.system,
                reason=reason,
                request=current_request_id(),
                previous=tip.digest,
            )
            entry.digest = entry.content_digest()
            entry.save(force_insert=True, using=self.db)
            AuditTip.objects.filter(pk=tip.pk).update(number=entry.number, digest=entry.digest)
        return entry

    def faults(self) -> Iterator[str]:
        """Walk the whole chain; a sentence for each thing that is wrong with it."""
        number, digest = 0, GENESIS
        for entry in self.order_by("number").iterator():
            if entry.number != number + 1:
                yield f"entries {number + 1} to {entry.number - 1} are missing"
            elif entry.previous != digest:
                yield f"entry {entry.number} does not follow entry {number} as that is now"
            if entry.digest != entry.content_digest():
                yield f"entry {entry.number} is not what was recorded"
            number, digest = entry.number, entry.digest
        tip = AuditTip.objects.filter(pk=AuditTip.ONLY).first()
        if (number, digest) != ((tip.number, tip.digest) if tip else (0, GENESIS)):
            yield f"the end is missing or forged: the chain ends at entry {number}"

    def update(self, **fields: Any) -> NoReturn:
        """Refuse."""
        raise AppendOnly("the audit trail is append-only: no entry can be changed")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise AppendOnly("the audit trail is append-only: no entry can be removed")

    def bulk_create(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse: entries are chained one by one."""
        raise AppendOnly("the audit trail is written by record() only")

    def bulk_update(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse."""
        raise AppendOnly("the audit trail is append-only: no entry can be changed")

    delete.queryset_only = True  # type: ignore[attr-defined]


class AuditEntry(models.Model):
    """One act. Names stand as text, so that they outlive the rows; no addresses are kept.

    Triggers in the database refuse every update and delete too; see the migration.
    """

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    who = models.CharField(max_length=200, help_text="A user's name, or what else acts.")
    user_pk = models.BigIntegerField(null=True, blank=True)
    act = models.CharField(max_length=20, choices=Act)
    kind = models.CharField(max_length=100, help_text="What it was done to: a release, a build.")
    row = models.BigIntegerField(null=True, blank=True)
    what = models.CharField(max_length=300, help_text="The name that it had then.")
    channel = models.CharField(max_length=63, blank=True)
    system = models.CharField(max_length=20, choices=System, blank=True)
    reason = models.TextField(blank=True)
    request = models.CharField(max_length=36, blank=True, help_text="The id of the web request.")
    previous = models.CharField(max_length=64, unique=True)
    digest = models.CharField(max_length=64, unique=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        verbose_name = "entry of the audit trail"
        verbose_name_plural = "audit trail"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["who", "-number"]),
            models.Index(fields=["channel", "-number"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="audited_act_is_known", condition=Q(act__in=sorted(Act.values))
            ),
            models.CheckConstraint(
                name="audited_digests_are_hex",
                condition=Q(previous__regex=DIGEST, digest__regex=DIGEST),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.who} {self.get_act_display()} {self.kind} {self.what}"

    def save(self, *args: Any, **options: Any) -> None:
        """Add it; refuses where it is there already."""
        if not self._state.adding:
            raise AppendOnly("the audit trail is append-only: no entry can be changed")
        super().save(*args, **options)

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse."""
        raise AppendOnly("the audit trail is append-only: no entry can be removed")

    def content(self) -> bytes:
        """The canonical bytes of all that it says, the digest of the one before it included."""
        said = {name: getattr(self, name) for name in _SAID}
        said["at"] = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode()

    def content_digest(self) -> str:
        """The SHA-256 of its content."""
        return hashlib.sha256(self.content()).hexdigest()


class AuditTip(models.Model):
    """The one row that says where the chain ends; who holds its lock may add to it."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True)
    number = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, default=GENESIS)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(name="one_audit_tip", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"entry {self.number}, {self.digest}"


def subject_of(row: Model) -> Subject:
    """What an entry says of the row that was acted on."""
    kind = str(row._meta.verbose_name)  # noqa: SLF001 - the public part of Django's models
    release = row.release if isinstance(row, Build) else row
    what = f"{row.release} {row.variant}" if isinstance(row, Build) else str(row)
    if isinstance(release, Release):
        return Subject(kind, row.pk, what, release.channel.name, release.system)
    if isinstance(row, Host):
        return Subject(kind, row.pk, what, row.channel.name, row.system)
    return Subject(kind, row.pk, what, row.name if isinstance(row, Channel) else "")
