"""Django's admin: channels are edited here; what the portal made is read, and acted upon."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from builds import pipeline, tasks
from builds.access import acts_allowed
from builds.admin.read_only import ReadOnlyAdmin
from builds.choices import Act
from builds.models import (
    Artifact,
    Build,
    Channel,
    Check,
    Damage,
    Head,
    NotAllowed,
    Release,
    Target,
    Worker,
)
from builds.models.flake import is_of_this_machine
from builds.web.acts import may_trigger, rebuild
from builds.web.offers import ON_RELEASE
from builds.web.states import release_name
from builds.web.words import short_digest, size

admin.site.site_header = "NixOS images"
admin.site.site_title = "NixOS images"
admin.site.index_title = "Administration"


class ChannelForm(forms.ModelForm[Channel]):
    """A channel. Which files of the machine are built is said on the machine."""

    class Meta:
        model = Channel
        fields = "__all__"  # noqa: DJ007 - what is not edited is said so on the model

    def clean(self) -> dict[str, Any] | None:
        """Refuse new refs to files of the machine; those of the catalogue stay."""
        cleaned = super().clean() or {}
        overrides = cleaned.get("overrides")
        refs = {
            "flake": [cleaned.get("flake") or ""],
            "overrides": list(overrides.values()) if isinstance(overrides, dict) else [],
        }
        for field in {"flake", "overrides"} & set(self.changed_data):
            if any(is_of_this_machine(str(ref)) for ref in refs[field]):
                self.add_error(field, "Files of the machine are named in its catalogue only.")
        return cleaned


class TargetInline(admin.TabularInline[Target, Channel]):
    """What a channel builds, on the channel's own form."""

    model = Target
    extra = 0


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin[Channel]):
    """Channels: edited here, and rebuilt."""

    list_display = ["name", "title", "slot", "is_active", "is_default", "end_of_life"]
    list_filter = ["is_active"]
    search_fields = ["name", "title"]
    form = ChannelForm
    inlines = [TargetInline]
    actions = ["trigger_rebuild"]

    @admin.display(description="slot, UTC", ordering="slot_weekday")
    def slot(self, channel: Channel) -> str:
        """The weekly slot: Sunday 03:00."""
        return f"{channel.get_slot_weekday_display()} {channel.slot_time:%H:%M}"

    def save_model(
        self,
        request: HttpRequest,
        obj: Channel,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's own
    ) -> None:
        """A slot that was moved counts from now on: none that it never had is made up for."""
        if change and {"slot_weekday", "slot_time"} & set(form.changed_data):
            obj.slot_moved_at = timezone.now()
        super().save_model(request, obj, form, change)

    def has_trigger_permission(self, request: HttpRequest) -> bool:
        """Whether this user may have a release built."""
        return may_trigger(request.user)

    @admin.action(description="Trigger a rebuild", permissions=["trigger"])
    def trigger_rebuild(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        """Have the selected channels built now on all their systems."""
        for channel in channels:
            drafts = rebuild(channel, channel.systems(), by=_user(request))
            if drafts:
                text = format_html("{} is being built: {}", channel, _links(drafts))
                self.message_user(request, text, messages.SUCCESS)
            else:
                text = format_html("{} has no targets: nothing is built of it.", channel)
                self.message_user(request, text, messages.WARNING)


class BuildInline(admin.TabularInline[Build, Release]):
    """The builds of a release."""

    model = Build
    fields = ["link", "variant", "attempt", "status", "error"]
    readonly_fields = ["link", "variant", "attempt", "status", "error"]
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Release | None = None) -> bool:
        """Nobody adds one."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one."""
        return False

    @admin.display(description="page")
    def link(self, build: Build) -> SafeString:
        """The page with the log."""
        return _link(build)


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin[Release]):
    """Releases: read here; each act leads to the page that asks before it."""

    list_display = ["name", "channel", "system", "status", "trigger", "created_at", "page"]
    list_per_page = 50
    list_filter = ["status", "channel", "system", "trigger", "origin"]
    list_select_related = ["channel"]
    search_fields = ["version", "revision"]
    date_hierarchy = "created_at"
    inlines = [BuildInline]

    @admin.display(description="release", ordering="version")
    def name(self, release: Release) -> str:
        """Its version, or what stands for it."""
        return release_name(release)

    @admin.display(description="page")
    def page(self, release: Release) -> SafeString:
        """The page that everybody sees."""
        return _link(release)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The acts that this user may do; one release at a time, save for what is tried again."""
        allowed = acts_allowed(request.user)
        own: dict[str, Any] = {
            url: (partial(_lead, url), url, f"{label} …")
            for act, label, url, _ in ON_RELEASE
            if act in allowed
        }
        if Act.RETRY in allowed:
            own["release-retry"] = (_retry_all, "release-retry", "Retry what failed")
        return {**super().get_actions(request), **own}


def _lead(
    url: str, model_admin: ReleaseAdmin, request: HttpRequest, releases: QuerySet[Release]
) -> HttpResponse | None:
    """Go to the page that asks before the act."""
    chosen = list(releases[:2])
    if len(chosen) == 1:
        return redirect(url, chosen[0].pk)
    model_admin.message_user(request, "Choose just one.", messages.WARNING)
    return None


def _retry_all(
    model_admin: ReleaseAdmin, request: HttpRequest, releases: QuerySet[Release]
) -> None:
    """Try again what keeps the selected releases from being published."""
    for release in releases.select_related("channel"):
        try:
            pipeline.retry(release, by=_user(request), at=timezone.now())
        except NotAllowed as refusal:
            model_admin.message_user(request, str(refusal), messages.WARNING)
        else:
            tasks.move_on(release)
            model_admin.message_user(request, f"What failed of {release} is tried again.")


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin[Build]):
    """Builds, to read."""

    list_display = ["pk", "release", "variant", "attempt", "status", "stage", "queued_at", "page"]
    list_filter = ["status", "variant", "release__system", "release__channel"]
    list_select_related = ["release__channel"]
    date_hierarchy = "queued_at"

    @admin.display(description="page")
    def page(self, build: Build) -> SafeString:
        """The page that everybody sees."""
        return _link(build)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin[Artifact]):
    """Artifacts, to read."""

    list_display = ["name", "release", "variant", "role", "in_words", "digest"]
    list_filter = ["variant", "role", "release__channel"]
    list_select_related = ["release__channel"]
    search_fields = ["name", "sha256"]

    @admin.display(description="size", ordering="size")
    def in_words(self, artifact: Artifact) -> str:
        """The size in the unit that fits."""
        return size(artifact.size)

    @admin.display(description="SHA-256")
    def digest(self, artifact: Artifact) -> str:
        """Its first and last digits."""
        return short_digest(artifact.sha256)


@admin.register(Check)
class CheckAdmin(ReadOnlyAdmin[Check]):
    """Checks, to read."""

    list_display = ["name", "release", "verdict", "seconds", "accelerator", "finished_at"]
    list_filter = ["verdict", "name", "accelerator"]
    list_select_related = ["release__channel"]


@admin.register(Damage)
class DamageAdmin(ReadOnlyAdmin[Damage]):
    """Damage, to read: a scrub that finds the file right again takes it back."""

    list_display = ["name", "release", "what", "found_at", "mended_at"]
    list_select_related = ["release__channel"]


@admin.register(Head)
class HeadAdmin(ReadOnlyAdmin[Head]):
    """Heads, to read: publishing and withdrawing move them."""

    list_display = ["channel", "system", "release", "moved_at"]
    list_select_related = ["channel", "release__channel"]


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    """Workers, to read: they write their rows themselves."""

    list_display = ["name", "queues", "capacity", "nix_version", "accelerator", "seen_at"]


def _user(request: HttpRequest) -> User:
    """The user of a request that the admin has let in."""
    return cast("User", request.user)


def _link(row: Release | Build) -> SafeString:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), "open")


def _links(drafts: list[Release]) -> SafeString:
    rows = ((draft.get_absolute_url(), draft.system) for draft in drafts)
    return format_html_join(", ", '<a href="{}">{}</a>', rows)
