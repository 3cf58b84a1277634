"""An upload whose portal is killed anywhere goes on where it was, and nothing of it is lost."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from builds import pipeline
from builds.choices import Origin, ReleaseStatus, System
from builds.models import PORTAL, Arrival, Channel, Release
from builds.pipeline.arrivals import Declaration, Declared, declare, finish
from builds.pipeline.arriving import check, take_in
from builds.storage import INCOMING, artifacts
from builds.tests.pipeline.driver import drive
from builds.tests.retention.dying import death_at
from builds.tests.uploads.conftest import SYSTEM, netboot

pytestmark = pytest.mark.django_db(transaction=True)

FILES = netboot()
POINTS = [
    "arrival: part stored",
    "arrival: part noted",
    "arrival: file is whole",
    "arrival: draft made",
]


def declared(channel: Channel) -> Arrival:
    files = [
        Declared(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()
    ]
    what = Declaration(channel, System(SYSTEM), files, Origin.UPLOADED, "26.05.1")
    return declare(what, by=PORTAL, at=timezone.now())


def go_on(pk: UUID) -> Release:
    """What a program does that does not know how far it came: ask, send the rest, finish."""
    arrival, now = Arrival.objects.get(pk=pk), timezone.now()
    for file in arrival.files.all():
        if not file.is_whole:
            take_in(file, file.received, [FILES[file.name][file.received :]], at=now)
        check(file, at=now)
    return finish(arrival, by=PORTAL, at=now)


@pytest.mark.parametrize("point", POINTS)
def test_upload_goes_on_after_the_portal_was_killed(demo: Channel, point: str) -> None:
    arrival = declared(demo)
    with death_at(point):
        go_on(arrival.pk)
    assert not Release.objects.exists()

    release = drive(go_on(arrival.pk))

    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    for artifact in release.artifacts.exclude(role="ipxe"):
        assert artifacts().read(artifact.key) == FILES[artifact.name]
    [*pipeline.collect(at=timezone.now() + timedelta(days=2))]
    assert not [*artifacts().walk(INCOMING)], "what nothing names is collected"
