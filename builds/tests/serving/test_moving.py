"""nginx gives out what moves by itself, until the moment when another release is the latest."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import transaction
from django.utils import timezone

from builds import pipeline
from builds.models import Head
from builds.pipeline import naming
from builds.pipeline.publish import is_told
from builds.pipeline.reconcile import finish_moving
from builds.pipeline.shown import show_moving
from builds.storage import artifacts
from builds.tests import front
from builds.tests.downloads.conftest import SYSTEM, Weeks
from builds.tests.front import Front
from builds.tests.retention.dying import death_at
from builds.tests.serving.asking import ask
from builds.tests.serving.conftest import Served

pytestmark = pytest.mark.django_db(transaction=True)

# The module: the package has a function of that name.
PUBLISH = import_module("builds.pipeline.publish")
ROOT = "/releases/download/demo"
SUMS = naming.MOVING_SUMS
SCRIPT = naming.script_name(SYSTEM)
LATEST = naming.latest_name(SYSTEM)
NAMES = [SUMS, SCRIPT, LATEST, *naming.signature_names(SUMS)]


@pytest.fixture
def alone(stored: Weeks, tmp_path: Path) -> Iterator[Front]:
    """A front server whose portal is away: what it gives is its own."""
    with front.serving(tmp_path / "alone", tmp_path, "http://127.0.0.1:9") as server:
        yield server


def version_told(server: Front) -> object:
    return json.loads(ask(server.url, f"{ROOT}/{LATEST}").body)["version"]


def test_what_moves_comes_without_the_portal_and_as_the_portal_gives_it(
    from_folder: Served, alone: Front, settings: LazySettings
) -> None:
    through, weeks = from_folder
    for name in NAMES:
        own = ask(alone.url, f"{ROOT}/{name}")
        assert own.status == 200, name
        assert own.body == artifacts().read(f"releases/download/demo/{name}")
        assert ask(alone.url, f"/nix-community/nixos-images{ROOT}/{name}").body == own.body
    assert ask(alone.url, f"{ROOT}/{naming.history_name()}").status == 502, "by more than heads"
    assert ask(alone.url, f"{ROOT}/{SUMS}", "POST").status == 502
    assert ask(alone.url, f"{ROOT}/{SUMS}.sha256").status == 502

    settings.X_ACCEL_REDIRECT = False
    finish_moving()

    assert is_told(weeks.channel.name)
    assert ask(alone.url, f"{ROOT}/{SUMS}").status == 502, "nothing is left to a front server"
    assert ask(through.url, f"{ROOT}/{SUMS}").status == 200


def test_nothing_old_is_told_once_the_head_has_moved(
    from_folder: Served, alone: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    through, weeks = from_folder
    assert version_told(alone) == version_told(through) == "2.0"
    monkeypatch.setattr(PUBLISH, "show_moving", lambda *_: None)

    with transaction.atomic():
        Head.objects.move(weeks.first, at=timezone.now())
        assert version_told(through) == "2.0", "not before it is sure"
    assert ask(alone.url, f"{ROOT}/{LATEST}").status == 502
    assert version_told(through) == "1.0", "the portal knows"

    monkeypatch.undo()
    finish_moving()
    assert version_told(alone) == "1.0"


def test_a_withdrawn_release_is_no_longer_the_latest_anywhere(
    from_folder: Served, alone: Front
) -> None:
    _, weeks = from_folder
    pipeline.withdraw(weeks.second, "It eats disks.", by=None, at=timezone.now())
    assert version_told(alone) == "1.0"
    pipeline.withdraw(weeks.first, "It does, too.", by=None, at=timezone.now())
    assert ask(alone.url, f"{ROOT}/{SUMS}").status == 502
    assert not list((Path(str(artifacts().local_path(""))) / ".public" / "moving").rglob("file"))


def test_who_wrote_for_a_head_that_has_moved_meanwhile_hides_it_again(
    from_folder: Served, alone: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, weeks = from_folder
    seen: list[object] = []

    def late(channel: str, files: dict[str, bytes]) -> None:
        """Shows what it has read, while another publish goes through."""
        if not seen:
            seen.append(1)
            Head.objects.move(weeks.first, at=timezone.now())
        show_moving(channel, files)
        if files and len(seen) == 1:
            seen.append(version_told(alone))

    monkeypatch.setattr(PUBLISH, "show_moving", late)
    pipeline.write_moving(weeks.channel.name)

    assert seen == [1, "2.0"], "it came too late once"
    assert version_told(alone) == "1.0"
    assert is_told(weeks.channel.name)


def test_what_needs_no_signature_does_not_wait_for_the_signer(
    from_folder: Served, alone: Front
) -> None:
    _, weeks = from_folder
    Head.objects.move(weeks.first, at=timezone.now())

    with death_at("publish: moving sums signed"):
        pipeline.write_moving(weeks.channel.name)

    assert version_told(alone) == "1.0"
    assert ask(alone.url, f"{ROOT}/{SCRIPT}").status == 200
    assert ask(alone.url, f"{ROOT}/{SUMS}.sig").status == 502, "the portal knows when it is there"


def test_digests_with_any_number_of_slashes_are_told_rightly(alone: Front) -> None:
    found: dict[int, tuple[bytes, str]] = {}
    for number in range(200_000):
        data = f"{number}\n".encode()
        told = base64.b64encode(hashlib.sha256(data).digest()).decode()
        found.setdefault(told.count("/"), (data, told))
    assert len(found) > 5
    for data, told in found.values():
        artifacts().show_moving("releases/download/demo", {f"releases/download/demo/{SUMS}": data})
        answer = ask(alone.url, f"{ROOT}/{SUMS}")
        assert (answer.body, answer.headers["repr-digest"]) == (data, f"sha-256=:{told}:")
