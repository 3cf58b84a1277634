"""What staff may do from the pages that everybody sees."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from builds import pipeline, tasks
from builds.choices import System, Trigger
from builds.models import Build, Channel, NotAllowed, Release

MAY_TRIGGER = "builds.add_release"
MAY_WITHDRAW = "builds.change_release"
CANCELLED = "Cancelled by an admin."


def may_trigger(user: User | AnonymousUser) -> bool:
    """Whether this user may have a release built."""
    return user.is_staff and user.has_perm(MAY_TRIGGER)


def may_withdraw(user: User | AnonymousUser) -> bool:
    """Whether this user may cancel drafts and take releases back."""
    return user.is_staff and user.has_perm(MAY_WITHDRAW)


@require_POST
@permission_required(MAY_TRIGGER, raise_exception=True)
def trigger(request: HttpRequest, channel: str) -> HttpResponse:
    """Have a channel built now, on one system or on all that it has."""
    row = get_object_or_404(Channel, name=channel)
    wanted = request.POST.get("system", "")
    systems = [system for system in row.systems() if wanted in {"", system}]
    drafts = rebuild(row, systems, by=request.user)
    if not drafts:
        words = gettext("{channel} is not built for {system}.")
        messages.error(request, words.format(channel=row, system=wanted or gettext("any system")))
        return redirect(row)
    for draft in drafts:
        words = gettext("{channel} is being built for {system}.")
        messages.success(request, words.format(channel=row, system=draft.system))
    return redirect(drafts[0] if len(drafts) == 1 else row)


@require_POST
@permission_required(MAY_WITHDRAW, raise_exception=True)
def cancel_build(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a build, and with it the release that it is for."""
    build = get_object_or_404(Build.objects.with_release(), pk=pk)
    try:
        pipeline.cancel(build, CANCELLED, by=_user(request), at=timezone.now())
    except NotAllowed as refusal:
        messages.error(request, str(refusal))
    else:
        words = gettext("Build {number} is cancelled, and its release with it.")
        messages.success(request, words.format(number=build.pk))
    return redirect(build)


@require_POST
@permission_required(MAY_TRIGGER, raise_exception=True)
def retry_build(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failed build again within its release."""
    return _retry(request, get_object_or_404(Build.objects.with_release(), pk=pk))


@require_POST
@permission_required(MAY_TRIGGER, raise_exception=True)
def retry_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Try again what keeps a release from being published."""
    return _retry(request, get_object_or_404(Release.objects.select_related("channel"), pk=pk))


def _retry(request: HttpRequest, row: Build | Release) -> HttpResponse:
    try:
        release = pipeline.retry(row, by=_user(request), at=timezone.now())
    except NotAllowed as refusal:
        messages.error(request, str(refusal))
        return redirect(row)
    tasks.move_on(release)
    words = gettext("What failed of {release} is tried again.")
    messages.success(request, words.format(release=release))
    return redirect(release)


def _user(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def rebuild(
    channel: Channel, systems: Iterable[System], *, by: User | AnonymousUser
) -> list[Release]:
    """Trigger a build that happens even where the revision has not moved; the drafts."""
    user = by if isinstance(by, User) else None
    drafts = pipeline.trigger(channel, systems, why=Trigger.ADMIN, by=user, forced=True)
    for draft in drafts:
        tasks.move_on(draft)
    return drafts
