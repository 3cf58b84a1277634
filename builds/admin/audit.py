"""The audit trail in Django's admin: read there, and told of everything that is edited there."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from builds.admin.read_only import ReadOnlyAdmin
from builds.choices import Act
from builds.models import Actor, AuditEntry, Subject
from builds.models.audit import subject_of

_ACTS = {ADDITION: Act.ADD, CHANGE: Act.CHANGE, DELETION: Act.DELETE}


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """The audit trail, to read."""

    list_display = ["number", "at", "who", "act", "kind", "what", "reason"]
    list_display_links = ["number"]
    list_filter = ["act", "kind", "channel", "system"]
    search_fields = ["who", "what", "reason", "request"]
    date_hierarchy = "at"

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None: nothing can be done to an entry."""
        return {}


@receiver(post_save, sender=LogEntry)
def record_edit(instance: LogEntry, *, created: bool, **_signal: Any) -> None:
    """Record what Django's admin notes in its own history, in the same transaction as the edit."""
    if created:
        AuditEntry.objects.record(
            _ACTS[instance.action_flag],
            _subject(instance),
            by=Actor.of(cast("User", instance.user)),
            at=instance.action_time,
            reason=instance.get_change_message(),
        )


def _subject(entry: LogEntry) -> Subject:
    assert entry.content_type is not None, "the admin always says what was edited"
    try:
        row = entry.get_edited_object()
    except ObjectDoesNotExist:
        key = int(entry.object_id) if str(entry.object_id).isdecimal() else None
        kind = cast("ContentType", entry.content_type).name
        return Subject(kind, key, entry.object_repr)
    return subject_of(row)
