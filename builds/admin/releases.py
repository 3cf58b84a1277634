"""Django's admin: channels are edited here; what the portal made is read, and acted upon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from builds import pipeline, tasks
from builds.admin.read_only import ReadOnlyAdmin
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
from builds.web.acts import MAY_TRIGGER, may_withdraw, rebuild
from builds.web.states import release_name
from builds.web.words import short_digest, size

admin.site.site_header = "NixOS images"
admin.site.site_title = "NixOS images"
admin.site.index_title = "Administration"


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
        return request.user.has_perm(MAY_TRIGGER)

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


class ReasonForm(forms.Form):
    """Why a release is taken back or stopped."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="Everybody can read it: on the release's page, and instead of its files.",
    )


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin[Release]):
    """Releases: read here, withdrawn and cancelled with a reason."""

    list_display = ["name", "channel", "system", "status", "trigger", "created_at", "page"]
    list_per_page = 50
    list_filter = ["status", "channel", "system", "trigger"]
    list_select_related = ["channel"]
    search_fields = ["version", "revision"]
    date_hierarchy = "created_at"
    inlines = [BuildInline]
    actions = [
        "withdraw_selected",
        "cancel_selected",
        "retry_selected",
        "roll_back_selected",
        "keep_selected",
        "stop_keeping_selected",
    ]

    @admin.display(description="release", ordering="version")
    def name(self, release: Release) -> str:
        """Its version, or what stands for it."""
        return release_name(release)

    @admin.display(description="page")
    def page(self, release: Release) -> SafeString:
        """The page that everybody sees."""
        return _link(release)

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        """Whether this user may take releases back."""
        return may_withdraw(_user(request))

    @admin.action(description="Withdraw …", permissions=["withdraw"])
    def withdraw_selected(
        self, request: HttpRequest, releases: QuerySet[Release]
    ) -> HttpResponse | None:
        """Go to the page that asks for the reason; one release at a time."""
        return self._one(request, releases.published(), "admin:builds_release_withdraw")  # type: ignore[attr-defined]

    @admin.action(description="Cancel …", permissions=["withdraw"])
    def cancel_selected(
        self, request: HttpRequest, releases: QuerySet[Release]
    ) -> HttpResponse | None:
        """Go to the page that asks for the reason; one draft at a time."""
        return self._one(request, releases.drafts(), "admin:builds_release_cancel")  # type: ignore[attr-defined]

    @admin.action(description="Retry what failed", permissions=["withdraw"])
    def retry_selected(self, request: HttpRequest, releases: QuerySet[Release]) -> None:
        """Try again what keeps the selected releases from being published."""
        for release in releases.select_related("channel"):

            def retry(release: Release = release) -> None:
                pipeline.retry(release, by=_user(request), at=timezone.now())
                tasks.move_on(release)

            self._do(request, release, retry)

    @admin.action(description="Make the latest again …", permissions=["withdraw"])
    def roll_back_selected(
        self, request: HttpRequest, releases: QuerySet[Release]
    ) -> HttpResponse | None:
        """Go to the page that asks for the reason; one published release at a time."""
        return self._one(request, releases.published(), "admin:builds_release_rollback")  # type: ignore[attr-defined]

    @admin.action(description="Keep for good …", permissions=["withdraw"])
    def keep_selected(
        self, request: HttpRequest, releases: QuerySet[Release]
    ) -> HttpResponse | None:
        """Go to the page that asks for the reason; one release at a time."""
        return self._one(request, releases.published(), "admin:builds_release_keep")  # type: ignore[attr-defined]

    @admin.action(description="Stop keeping", permissions=["withdraw"])
    def stop_keeping_selected(self, request: HttpRequest, releases: QuerySet[Release]) -> None:
        """Let the rules of their channels hold for them again."""
        stopped = [
            release
            for release in releases.select_related("channel")
            if pipeline.stop_keeping(release)
        ]
        self.message_user(request, f"{len(stopped)} no longer kept for good.")

    def get_urls(self) -> list[URLPattern]:
        """With the pages that ask for a reason."""
        own = [
            self._reason_path("withdraw", self.withdraw_view),
            self._reason_path("cancel", self.cancel_view),
            self._reason_path("rollback", self.roll_back_view),
            self._reason_path("keep", self.keep_view),
        ]
        return [*own, *super().get_urls()]

    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a published release back, then rewrite what moves."""
        release = get_object_or_404(Release.objects.select_related("channel"), pk=pk)

        def withdraw(reason: str) -> None:
            pipeline.withdraw(release, reason, by=_user(request), at=timezone.now())

        return self._with_reason(request, release, "Withdraw", withdraw)

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop a draft and its builds."""
        release = get_object_or_404(Release.objects.select_related("channel"), pk=pk)

        def cancel(reason: str) -> None:
            pipeline.cancel(release, reason, by=_user(request), at=timezone.now())

        return self._with_reason(request, release, "Cancel", cancel)

    def roll_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make an earlier release the latest again."""
        release = get_object_or_404(Release.objects.select_related("channel"), pk=pk)

        def roll_back(reason: str) -> None:
            pipeline.roll_back(release, reason, by=_user(request), at=timezone.now())

        return self._with_reason(request, release, "Roll back to", roll_back)

    def keep_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Keep a release's files for good."""
        release = get_object_or_404(Release.objects.select_related("channel"), pk=pk)

        def keep(reason: str) -> None:
            if not pipeline.keep(release, reason, by=_user(request), at=timezone.now()):
                raise NotAllowed(f"{release} can't be kept, or is kept already; nothing was done.")

        return self._with_reason(request, release, "Keep", keep)

    def _reason_path(self, act: str, view: Callable[..., HttpResponse]) -> URLPattern:
        return path(
            f"<int:pk>/{act}/", self.admin_site.admin_view(view), name=f"builds_release_{act}"
        )

    def _one(
        self, request: HttpRequest, releases: QuerySet[Release], url: str
    ) -> HttpResponse | None:
        chosen = list(releases[:2])
        if len(chosen) == 1:
            return redirect(url, chosen[0].pk)
        text = "Choose one release that this can be done to." if not chosen else "Choose just one."
        self.message_user(request, text, messages.WARNING)
        return None

    def _with_reason(
        self, request: HttpRequest, release: Release, act: str, do: Callable[[str], None]
    ) -> HttpResponse:
        """Ask for a reason, and do it when one is given."""
        if not self.has_withdraw_permission(request):
            raise PermissionDenied
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            word = "kept for good" if act == "Keep" else ""
            self._do(request, release, lambda: do(form.cleaned_data["reason"]), word)
            return redirect(release)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"{act} {release}",
            "act": act,
            "release": release,
            "form": form,
            "opts": self.opts,
        }
        return render(request, "admin/builds/release/reason.html", context)

    def _do(
        self, request: HttpRequest, release: Release, act: Callable[[], None], word: str = ""
    ) -> None:
        """Do it and say so, by the status that it has now or a word; or say why it can't be."""
        try:
            act()
        except NotAllowed as refusal:
            self.message_user(request, str(refusal), messages.WARNING)
        else:
            tasks.tell()
            self.message_user(request, f"{release}: {word or release.get_status_display()}.")


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
