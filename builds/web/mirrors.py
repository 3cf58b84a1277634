"""What the page of mirrors shows: where copies are, how each stands, which portal is followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from builds.choices import MirrorState
from builds.models import Followed, Mirror, MirrorHead
from builds.web.parts import Part
from builds.web.states import State, Tone
from builds.web.words import age, number

KNOWLEDGE_IS_OLD = timedelta(days=1)

STATES = {
    MirrorState.UNCHECKED: State(Tone.QUIET, "ring", MirrorState.UNCHECKED.label),
    MirrorState.FRESH: State(Tone.GOOD, "disc", MirrorState.FRESH.label),
    MirrorState.BEHIND: State(Tone.WARN, "triangle", MirrorState.BEHIND.label),
    MirrorState.WRONG: State(Tone.BAD, "square", MirrorState.WRONG.label),
    MirrorState.SILENT: State(Tone.BAD, "square", MirrorState.SILENT.label),
}
DISABLED = State(Tone.QUIET, "dash", _("not in use"))


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """One mirror: how it stands, and what it has of each channel."""

    mirror: Mirror
    state: State
    heads: tuple[MirrorHead, ...]


@dataclass(frozen=True, slots=True)
class FollowedRow:
    """One portal whose releases are published here, and how old what is known of it is."""

    followed: Followed
    state: State


@require_safe
def mirrors(request: HttpRequest) -> HttpResponse:
    """Where copies of the releases are, and where releases come from."""
    at = timezone.now()
    context = {
        "mirrors": list(mirror_rows()),
        "followed": [FollowedRow(row, followed_state(row, at)) for row in Followed.objects.all()],
        "at": at,
    }
    return render(request, "web/mirrors.html", context)


def mirror_rows() -> Iterator[MirrorRow]:
    """Every mirror, in two queries."""
    for mirror in Mirror.objects.prefetch_related("heads__channel"):
        state = STATES[MirrorState(mirror.state)] if mirror.is_enabled else DISABLED
        yield MirrorRow(mirror, state, tuple(mirror.heads.all()))


def parts(at: datetime) -> Iterator[Part]:
    """The mirrors as one part of the portal, each portal that is followed as another; one query."""
    mirror = Mirror.objects.enabled().order_by().values_list("state", "checked_at", "note")
    followed = Followed.objects.active().order_by().values_list("url", "heard_at", "error")
    told = list(
        mirror.annotate(is_mirror=Value(value=True)).union(
            followed.annotate(is_mirror=Value(value=False)), all=True
        )
    )
    states = [word for word, _at, _note, is_mirror in told if is_mirror]
    if states:
        yield Part(gettext("mirrors"), _all_mirrors(states), "")
    for url, heard_at, error, is_mirror in told:
        if not is_mirror:
            name = gettext("releases from {url}").format(url=url)
            yield Part(name, _knowledge(heard_at, error, at), error)


def followed_state(row: Followed, at: datetime) -> State:
    """How old what is known of a followed portal is."""
    return _knowledge(row.heard_at, row.error, at) if row.is_active else DISABLED


def _knowledge(heard_at: datetime | None, error: str, at: datetime) -> State:
    if heard_at is None:
        return State(Tone.WARN, "triangle", gettext("not read yet"))
    ago = age(heard_at, at=at)
    if at - heard_at > KNOWLEDGE_IS_OLD:
        words = gettext("last read {ago}: newer releases are not known here").format(ago=ago)
        return State(Tone.BAD, "square", words)
    if error:
        return State(Tone.WARN, "triangle", gettext("last read well {ago}").format(ago=ago))
    return State(Tone.GOOD, "disc", gettext("read {ago}").format(ago=ago))


def _all_mirrors(states: list[str]) -> State:
    fresh = states.count(MirrorState.FRESH)
    words = gettext("{some} of {all} up to date").format(
        some=number(fresh), all=number(len(states))
    )
    is_well = fresh == len(states)
    return State(Tone.GOOD, "disc", words) if is_well else State(Tone.WARN, "triangle", words)
