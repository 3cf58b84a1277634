"""Since when a channel is red, and between which revisions it became so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from builds.models import Channel, Release
from builds.pipeline import first_reds, regression
from builds.tests.factories import ChannelFactory, ReleaseFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def weeks_ago(weeks: int, channel: Channel, **state: bool) -> Release:
    release: Release = ReleaseFactory(channel=channel, at=NOW - timedelta(weeks=weeks), **state)
    return release


def test_first_red_since_the_last_green_is_found_with_its_build_and_range() -> None:
    channel = ChannelFactory()
    weeks_ago(5, channel, failed=True)
    green = weeks_ago(4, channel, published=True)
    first = weeks_ago(3, channel, failed=True)
    weeks_ago(2, channel, skipped=True)
    last = weeks_ago(1, channel, failed=True)

    found = regression(last)

    assert found is not None
    assert (found.first, found.green) == (first, green)
    assert found.build == first.builds.order_by("pk").first()
    assert (found.old, found.new) == (green.revision, first.revision)
    assert found.compare_url == (
        f"https://github.com/example/images/compare/{green.revision}...{first.revision}"
    )
    assert found.since == first.finished_at
    assert first_reds()[channel.pk, last.system].first == first


def test_release_that_became_green_again_is_no_longer_red() -> None:
    channel = ChannelFactory()
    red = weeks_ago(3, channel, failed=True)
    green = weeks_ago(2, channel, published=True)
    assert first_reds() == {}
    assert regression(green) is None
    found = regression(red)
    assert found is not None
    assert (found.first, found.green, found.compare_url) == (red, None, "")


def test_range_is_that_of_the_input_that_names_the_revision() -> None:
    channel = ChannelFactory(revision_input="nixpkgs")
    weeks_ago(2, channel, published=True)
    red = weeks_ago(1, channel, failed=True)
    overrides = {"nixpkgs": f"github:NixOS/nixpkgs/{red.revision}"}
    Release.objects.filter(pk=red.pk).update(overrides=overrides)
    red.refresh_from_db()
    found = regression(red)
    assert found is not None
    assert found.compare_url.startswith("https://github.com/NixOS/nixpkgs/compare/")


def test_folder_has_a_range_but_no_place_to_read_it() -> None:
    channel = ChannelFactory()
    weeks_ago(2, channel, published=True)
    red = weeks_ago(1, channel, failed=True)
    Release.objects.filter(pk=red.pk).update(flake="path:/srv/images?narHash=x")
    red.refresh_from_db()
    found = regression(red)
    assert found is not None
    assert found.has_moved
    assert found.compare_url == ""


def test_other_systems_do_not_mix_in() -> None:
    channel = ChannelFactory()
    ReleaseFactory(
        channel=channel, system="aarch64-linux", published=True, at=NOW - timedelta(weeks=2)
    )
    found = regression(weeks_ago(1, channel, failed=True))
    assert found is not None
    assert found.green is None
