"""The way of a release whose builds a Hydra has made; what stands for one answers as it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from builds.choices import BuilderName, Origin, ReleaseStatus, Variant
from builds.models import Channel
from builds.pipeline import Step
from builds.storage import artifacts
from builds.tests.builders import hydra_server
from builds.tests.builders.hydra_server import Hydra, Made
from builds.tests.builders.test_contract import FILES, JOB, LOOPBACK
from builds.tests.factories import ChannelFactory
from builds.tests.pipeline.conftest import draft_of
from builds.tests.pipeline.driver import drive, take

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = "x86_64-linux"


@pytest.fixture
def hydra(settings: LazySettings, tmp_path: Path) -> Iterator[Hydra]:
    settings.HYDRA_NETWORKS = (LOOPBACK,)
    settings.DATA_DIR = tmp_path
    with hydra_server.serving() as server:
        server.revisions = {7: "a" * 40}
        server.builds = [Made(123, JOB, dict(FILES), [7])]
        yield server


@pytest.fixture
def channel(hydra: Hydra) -> Channel:
    made: Channel = ChannelFactory(
        name="demo",
        builder=BuilderName.HYDRA,
        flake=f"{hydra.address}/job/nixos/release-26.05",
        revision_input="nixpkgs",
        systems=[SYSTEM],
        variants=[Variant.NETBOOT],
        checks=[],
    )
    made.targets.update(attribute="nixos.{variant}.{system}")
    return made


def test_release_says_which_build_of_which_hydra_it_is(
    client: Client, channel: Channel, hydra: Hydra, tmp_path: Path
) -> None:
    release = drive(draft_of(channel))

    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    page = client.get(release.get_absolute_url()).content.decode()
    [build] = release.builds.all()
    log = client.get(f"/api/v1/builds/{build.pk}/log").getvalue().decode()
    manifest = json.loads(artifacts().read(release.key(f"release-{SYSTEM}.json")) or b"")
    assert "built by 127.0.0.1, build 123, not here" in page
    assert f"https://github.com/NixOS/nixpkgs/commit/{'a' * 40}" in page
    assert f"It is {hydra.address}/build/123, netboot" in log
    assert (release.origin, release.source) == (Origin.HYDRA, f"{hydra.address}/eval/7")
    assert manifest["origin"] == {"kind": "hydra", "source": f"{hydra.address}/eval/7"}
    assert manifest["builds"][0]["source"] == f"{hydra.address}/build/123"
    assert client.get(build.get_absolute_url()).status_code == 200
    assert not [*(tmp_path / "downloads").iterdir()], "what is stored is not kept twice"


def test_evaluation_that_has_not_moved_is_skipped_and_one_that_has_is_not(
    channel: Channel, hydra: Hydra
) -> None:
    first = drive(draft_of(channel))
    hydra.revisions[8] = "a" * 40
    hydra.builds.append(Made(124, JOB, dict(FILES), [8]))
    same = drive(draft_of(channel))
    hydra.revisions[9] = "b" * 40
    hydra.builds.append(Made(125, JOB, dict(FILES), [9]))
    moved = drive(draft_of(channel))

    assert first.status == ReleaseStatus.PUBLISHED
    assert (same.status, "has not moved" in same.reason) == (ReleaseStatus.CANCELLED, True)
    assert moved.status == ReleaseStatus.PUBLISHED


def test_draft_goes_on_with_the_builder_that_pinned_it(channel: Channel, hydra: Hydra) -> None:
    draft = draft_of(channel)
    take(Step("plan", draft.pk))
    Channel.objects.update(builder=BuilderName.NIX)

    assert drive(draft).status == ReleaseStatus.PUBLISHED
