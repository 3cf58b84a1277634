"""What programs do with a token: trigger, cancel, retry, publish, withdraw.

Each is the act of builds.pipeline that people do from the pages, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from builds import pipeline, tasks
from builds.api import refusals
from builds.api.act_shapes import (
    ActedBuild,
    ActedRelease,
    CancelWish,
    TriggeredShape,
    TriggerWish,
    WithdrawWish,
    acted_build,
    acted_release,
    build_url,
    draft_url,
    release_url,
)
from builds.api.authorization import Bearer, Reader, identified, visible_to
from builds.api.once import WITH_KEY, answer, once
from builds.api.openapi import UNCACHED
from builds.api.problems import problems
from builds.boot.addresses import base_url
from builds.choices import Act, Scope, System, Trigger
from builds.models import Build, Channel, NotAllowed, Release, Reply, Token

router = Router(tags=["acts"])

COME_BACK_AFTER = 60  # seconds: a build of minutes rarely ends sooner
CANCELLED = "Cancelled by a program."
_PROBLEMS = problems(400, 401, 403, 409, 422, 429)
_OF_ROWS = {**_PROBLEMS, **problems(404)}


@router.post(
    "releases/",
    auth=Bearer(Scope.TRIGGER),
    response={202: TriggeredShape, **_PROBLEMS},
    summary="Have releases built",
    openapi_extra=WITH_KEY,
)
def trigger(request: HttpRequest, wanted: TriggerWish) -> HttpResponse:
    """The releases in the making: those that are so already, or new ones.

    Location is that of the release, or of the list of drafts where there are several.
    """
    token = identified(request)
    channel = _channel(token, wanted.channel)
    systems = _systems(channel, wanted.system)
    if wanted.variant and wanted.force:
        raise refusals.not_understood("force", "a variant is retried in the release that there is")
    if wanted.variant and len(systems) > 1:
        raise refusals.not_understood("system", "a variant is retried on one system; say which")
    act = partial(_triggered, token, channel, systems, wanted)

    def do() -> Reply:
        _refuse_when_full()
        base = base_url(request)
        drafts = act()
        shape = TriggeredShape(releases=[acted_release(draft, base) for draft in drafts])
        several = f"{base}{request.path}?channel={channel.name}&status=draft"
        location = draft_url(drafts[0], base) if len(drafts) == 1 else several
        return Reply(202, location, shape.model_dump_json())

    return once(request, do)


@router.get(
    "releases/drafts/{release_id}/",
    auth=Reader(),
    response={200: ActedRelease, **problems(400, 401, 403, 404, 422, 429)},
    summary="Follow a release by its id",
    openapi_extra=UNCACHED,
    url_name="draft",
)
def draft(request: HttpRequest, release_id: int) -> HttpResponse:
    """How a release stands that was triggered, from its first moment on."""
    release = visible_to(request, Release.objects.select_related("channel")).filter(pk=release_id)
    return _told(request, _there(release.first(), f"There is no release {release_id}."))


@router.post(
    "builds/{build_id}/cancel/",
    auth=Bearer(Scope.CANCEL),
    response={202: ActedBuild, **_OF_ROWS},
    summary="Stop a build, and with it its release",
    openapi_extra=WITH_KEY,
)
def cancel(request: HttpRequest, build_id: int, wanted: CancelWish | None = None) -> HttpResponse:
    """What waits ends at once, what runs within seconds."""
    token = identified(request)
    build = _build(token, build_id)
    reason = (wanted.reason if wanted else "") or CANCELLED

    def do() -> Reply:
        with _refusing(build):
            pipeline.cancel(build, reason, by=token.actor, at=timezone.now())
        return _reply(request, build)

    return once(request, do)


@router.post(
    "builds/{build_id}/retry/",
    auth=Bearer(Scope.TRIGGER, Act.RETRY),
    response={202: ActedBuild, **_OF_ROWS},
    summary="Try a failed build again, within its release",
    openapi_extra=WITH_KEY,
)
def retry(request: HttpRequest, build_id: int) -> HttpResponse:
    """All that failed of its release is tried again; the newest attempt at this variant."""
    token = identified(request)
    build = _build(token, build_id)

    def do() -> Reply:
        _refuse_when_full()
        with _refusing(build):
            release = pipeline.retry(build, by=token.actor, at=timezone.now())
        transaction.on_commit(partial(tasks.move_on, release))
        newest = release.builds.newest_per_variant()
        return _reply(request, next(each for each in newest if each.variant == build.variant))

    return once(request, do)


@router.post(
    "releases/{channel}/{version}/{system}/publish/",
    auth=Bearer(Scope.PUBLISH),
    response={200: ActedRelease, **_OF_ROWS},
    summary="Publish a draft that has passed everything",
)
def publish(request: HttpRequest, channel: str, version: str, system: str) -> HttpResponse:
    """The release; one that is published already is answered in the same way."""
    token = identified(request)
    release = _release(token, channel, version, system)
    with _refusing(release):
        pipeline.publish_now(release, by=token.actor, at=timezone.now())
    tasks.tell()
    return _told(request, release)


@router.post(
    "releases/{channel}/{version}/{system}/withdraw/",
    auth=Bearer(Scope.WITHDRAW),
    response={200: ActedRelease, **_OF_ROWS},
    summary="Take a published release back",
)
def withdraw(
    request: HttpRequest, channel: str, version: str, system: str, wanted: WithdrawWish
) -> HttpResponse:
    """Its files answer 410 from then on, and the release before it is the latest again."""
    token = identified(request)
    release = _release(token, channel, version, system)
    with _refusing(release):
        pipeline.withdraw(release, wanted.reason, by=token.actor, at=timezone.now())
    tasks.tell()
    return _told(request, release)


def _triggered(
    token: Token, channel: Channel, systems: list[System], wanted: TriggerWish
) -> list[Release]:
    """The drafts, moved on once they are written."""
    by, at = token.actor, timezone.now()
    if wanted.variant is None:
        drafts = pipeline.trigger(
            channel, systems, why=Trigger.API, by=by, forced=wanted.force, together=True
        )
    else:
        with _refusing(None):
            [system] = systems
            drafts = [pipeline.retry_variant(channel, system, wanted.variant, by=by, at=at)]
    for release in drafts:
        transaction.on_commit(partial(tasks.move_on, release))
    return drafts


def _refuse_when_full() -> None:
    length = Build.objects.queued().count()
    if length >= settings.QUEUE_MOST:
        raise refusals.queue_is_full(length, settings.QUEUE_MOST, COME_BACK_AFTER)


@contextmanager
def _refusing(row: Build | Release | None) -> Iterator[None]:
    """Turn what a row does not allow into 409, with its state."""
    try:
        yield
    except NotAllowed as refusal:
        if row is not None:
            row.refresh_from_db(fields=["status"])
        raise refusals.wrong_state(str(refusal), row.status if row else "") from None


def _channel(token: Token, name: str) -> Channel:
    channel = Channel.objects.filter(name=name).first()
    if channel is None:
        known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none yet"
        raise refusals.not_understood("channel", f"there is no channel {name}; channels: {known}")
    _refuse_other(token, name)
    return channel


def _systems(channel: Channel, wanted: System | None) -> list[System]:
    systems = channel.systems()
    if wanted is None and systems:
        return systems
    if wanted not in systems:
        known = ", ".join(systems) or "none"
        what = f"{channel} is not built for {wanted or 'any'}; systems: {known}"
        raise refusals.not_understood("system", what)
    return [System(wanted)]


def _build(token: Token, pk: int) -> Build:
    found = Build.objects.with_release().filter(pk=pk).first()
    if found is None:
        raise Http404(f"There is no build {pk}.")
    _refuse_other(token, found.release.channel.name)
    return found


def _release(token: Token, channel: str, version: str, system: str) -> Release:
    named = Release.objects.named(channel, version).filter(system=system).select_related("channel")
    found = _there(named.first(), f"{channel} has no release {version} for {system}.")
    _refuse_other(token, channel)
    return found


def _there(release: Release | None, why_not: str) -> Release:
    if release is None:
        raise Http404(why_not)
    return release


def _refuse_other(token: Token, channel: str) -> None:
    if not token.covers(channel):
        raise refusals.other_channel(channel, token.channels)


def _reply(request: HttpRequest, build: Build) -> Reply:
    build.refresh_from_db()
    base = base_url(request)
    return Reply(202, build_url(build, base), acted_build(build, base).model_dump_json())


def _told(request: HttpRequest, release: Release) -> HttpResponse:
    base = base_url(request)
    location = release_url(release, base) if release.version and request.method == "POST" else ""
    return answer(Reply(200, location, acted_release(release, base).model_dump_json()))
