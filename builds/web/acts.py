"""What people may do from the pages that everybody sees: one view, one verb."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from builds import pipeline, tasks
from builds.access import acts_allowed
from builds.choices import Act, System, Trigger
from builds.models import Build, Channel, Release
from builds.web import questions
from builds.web.access import needs
from builds.web.confirm import Done, ask

CANCELLED = "Cancelled by an admin."
ask_and_do = require_http_methods(["GET", "HEAD", "POST"])


def may_trigger(user: User | AnonymousUser) -> bool:
    """Whether this user may have a release built."""
    return Act.TRIGGER in acts_allowed(user)


@ask_and_do
@needs(Act.TRIGGER)
def trigger(request: HttpRequest, channel: str) -> HttpResponse:
    """Have a channel built now, on one system or on all that it has."""
    row = get_object_or_404(Channel, name=channel)
    wanted = request.POST.get("system", request.GET.get("system", ""))
    systems = [system for system in row.systems() if wanted in {"", system}]

    def do(reason: str) -> Done:
        drafts = rebuild(row, systems, by=request.user)
        names = " and ".join(draft.system for draft in drafts)
        page = drafts[0] if len(drafts) == 1 else row
        return Done(f"{row} is being built for {names}.", page.get_absolute_url())

    return ask(request, questions.trigger(row, systems, wanted), do)


@ask_and_do
@needs(Act.CANCEL)
def cancel_build(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a build, and with it the release that it is for."""
    build = get_object_or_404(Build.objects.with_release(), pk=pk)

    def do(reason: str) -> Done:
        pipeline.cancel(build, reason or CANCELLED, by=_user(request), at=timezone.now())
        said = f"Build {build.pk} is cancelled, and its release with it."
        return Done(said, build.get_absolute_url())

    return ask(request, questions.cancel(build), do)


@ask_and_do
@needs(Act.CANCEL)
def cancel_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a draft and its builds."""
    release = _release(pk)

    def do(reason: str) -> Done:
        pipeline.cancel(release, reason or CANCELLED, by=_user(request), at=timezone.now())
        return Done(f"{release} is cancelled.", release.get_absolute_url())

    return ask(request, questions.cancel(release), do)


@ask_and_do
@needs(Act.RETRY)
def retry_build(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a failed build again within its release."""
    return _retry(request, get_object_or_404(Build.objects.with_release(), pk=pk))


@ask_and_do
@needs(Act.RETRY)
def retry_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Try again what keeps a release from being published."""
    return _retry(request, _release(pk))


@ask_and_do
@needs(Act.PUBLISH)
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish a draft that has passed everything, without waiting for a worker."""
    release = _release(pk)

    def do(reason: str) -> Done:
        pipeline.publish_now(release, by=_user(request), at=timezone.now())
        tasks.tell()
        return Done(f"{release} is published.", release.get_absolute_url())

    return ask(request, questions.publish(release), do)


@ask_and_do
@needs(Act.WITHDRAW)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a published release back."""
    release = _release(pk)

    def do(reason: str) -> Done:
        pipeline.withdraw(release, reason, by=_user(request), at=timezone.now())
        tasks.tell()
        return Done(f"{release} is withdrawn.", release.get_absolute_url())

    return ask(request, questions.withdraw(release), do)


@ask_and_do
@needs(Act.ROLL_BACK)
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Make an earlier release the latest again."""
    release = _release(pk)

    def do(reason: str) -> Done:
        pipeline.roll_back(release, reason, by=_user(request), at=timezone.now())
        return Done(f"{release} is the latest again.", release.get_absolute_url())

    return ask(request, questions.roll_back(release), do)


@ask_and_do
@needs(Act.KEEP)
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a release's files for good."""
    release = _release(pk)

    def do(reason: str) -> Done:
        pipeline.keep(release, reason, by=_user(request), at=timezone.now())
        return Done(f"{release} is kept for good.", release.get_absolute_url())

    return ask(request, questions.keep(release), do)


@ask_and_do
@needs(Act.STOP_KEEPING)
def stop_keeping(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the rules of its channel hold for a release again."""
    release = _release(pk)

    def do(reason: str) -> Done:
        pipeline.stop_keeping(release, reason, by=_user(request), at=timezone.now())
        return Done(f"{release} is no longer kept for good.", release.get_absolute_url())

    return ask(request, questions.stop_keeping(release), do)


def rebuild(
    channel: Channel, systems: Iterable[System], *, by: User | AnonymousUser
) -> list[Release]:
    """Trigger a build that happens even where the revision has not moved; the drafts."""
    user = by if isinstance(by, User) else None
    drafts = pipeline.trigger(channel, systems, why=Trigger.ADMIN, by=user, forced=True)
    for draft in drafts:
        tasks.move_on(draft)
    return drafts


def _retry(request: HttpRequest, row: Build | Release) -> HttpResponse:
    def do(reason: str) -> Done:
        release = pipeline.retry(row, by=_user(request), at=timezone.now())
        tasks.move_on(release)
        return Done(f"What failed of {release} is tried again.", release.get_absolute_url())

    return ask(request, questions.retry(row), do)


def _release(pk: int) -> Release:
    return get_object_or_404(Release.objects.select_related("channel"), pk=pk)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the door lets nobody else in"
    return request.user
