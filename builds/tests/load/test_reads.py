"""What growth is measured with: every public read of the portal, and none that is not there."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from bench import reads
from builds.management.crowd import make_crowd
from builds.tests.attack.routes import routes
from builds.tests.attack.table import lines


def test_every_public_read_is_measured_or_says_why_not() -> None:
    public = {
        route
        for route, line in lines().items()
        if line.expected("GET", "anonymous") & {"200", "302"}
    }
    left_out = {
        route
        for route in public - set(reads.measured_routes())
        if not route.startswith((*reads.ALIASES, *reads.NOT_READ))
    }
    assert left_out == set()
    for begin in (*reads.ALIASES, *reads.NOT_READ):
        assert any(route.startswith(begin) for route in routes()), f"there is no {begin}"
    for route in reads.QUERIES:
        assert route in routes(), f"there is no {route}"


@pytest.mark.django_db
def test_every_read_is_answered_over_a_crowd(client: Client) -> None:
    make_crowd(2, 12, at=timezone.now(), whole=12)
    wrong = {}
    found = reads.reads()
    for read in found:
        answer = client.get(read.path)
        if answer.status_code not in {200, 302}:
            wrong[read.name] = (read.path, answer.status_code)
        answer.close()
    assert wrong == {}
    assert len({read.name for read in found}) == len(found) > 80
