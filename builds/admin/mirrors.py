"""Mirrors are registered here; portals that are followed are named on this portal's machine."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from builds.admin.read_only import ReadOnlyAdmin
from builds.models import Followed, Mirror, MirrorHead, Transfer


class HeadInline(admin.TabularInline[MirrorHead, Mirror]):
    """What it calls the latest."""

    model = MirrorHead
    fields = ["channel", "system", "version", "behind", "behind_since", "note", "checked_at"]
    readonly_fields = [
        "channel",
        "system",
        "version",
        "behind",
        "behind_since",
        "note",
        "checked_at",
    ]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Mirror | None = None) -> bool:
        """Nobody adds one."""
        return False


@admin.register(Mirror)
class MirrorAdmin(admin.ModelAdmin[Mirror]):
    """Mirrors: edited here, and looked at now where somebody wants to know."""

    fields = ["url", "title", "country", "place", "is_enabled", "state", "note", "checked_at"]
    readonly_fields = ["state", "note", "checked_at"]
    list_display = ["title", "url", "country", "place", "is_enabled", "state", "checked_at"]
    list_filter = ["is_enabled", "state", "country"]
    inlines = [HeadInline]
    actions = ["look_now"]

    @admin.action(description="Look at it soon", permissions=["change"])
    def look_now(self, request: HttpRequest, mirrors: QuerySet[Mirror]) -> None:
        """Let the next tick look at the selected mirrors; a look may take minutes."""
        mirrors.update(checked_at=None)
        text = f"{len(mirrors)} will be looked at within five minutes."
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Followed)
class FollowedAdmin(admin.ModelAdmin[Followed]):
    """Followed portals: how they stand; manage.py follow names them and pins their keys."""

    fields = ["url", "channels", "systems", "last", "is_active", "heard_at", "error"]
    readonly_fields = ["url", "heard_at", "error"]
    list_display = ["url", "is_active", "keys", "heard_at", "tried_at", "error"]

    @admin.display(description="signatures", boolean=True)
    def keys(self, followed: Followed) -> bool:
        """Whether keys are pinned."""
        return followed.wants_signatures

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A form could name any address of the inner network."""
        return False


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin[Transfer]):
    """Where releases came from, to read."""

    list_display = ["release", "kind", "source", "signer", "taken_at"]
    list_filter = ["kind"]
    list_select_related = ["release__channel"]
