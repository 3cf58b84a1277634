"""Which file a moving name means is looked up once a second, and when a head has moved; what the
signer makes of that is waited for."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds import pipeline
from builds.downloads import at_head, views
from builds.models import Channel, Damage, Head, Release, SignedSums
from builds.pipeline import documents
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import channel

pytestmark = pytest.mark.django_db(transaction=True)
INITRD = "initrd-x86_64-linux"
FILE = f"/releases/download/demo/{INITRD}"
SIGNATURE = "/releases/download/demo/SHA256SUMS.sig"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Channel:
    """A channel with a release; what is looked up is good for a minute."""
    monkeypatch.setattr(at_head, "SECONDS", 60.0)
    monkeypatch.setattr(at_head, "_known", {})
    of = channel()
    stored_release(of, "1.0")
    return of


def version() -> str | None:
    found = at_head.artifact_at_head("demo", INITRD)
    return found.release.version if found else None


def queries() -> int:
    with CaptureQueriesContext(connection) as captured:
        version()
    return len(captured)


def test_name_is_looked_up_once_and_again_when_a_head_has_moved(
    demo: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert version() == "1.0"
    assert queries() == 0
    newer = stored_release(demo, "2.0")
    assert version() == "2.0"
    assert queries() == 0
    pipeline.withdraw(newer, "it eats disks", by=None, at=timezone.now())
    assert version() == "1.0"
    pipeline.withdraw(Release.objects.get(version="1.0"), "so, too", by=None, at=timezone.now())
    assert version() is None
    assert queries() == 1, "that there is none is not kept"


def test_name_is_looked_up_again_after_a_while(
    demo: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_head, "SECONDS", 0.0)
    at_head.artifact_at_head("demo", INITRD)
    assert queries() == 1


def test_damage_is_seen_at_once_all_the_same(demo: Channel, client: Client) -> None:
    assert body(client.get(FILE)) != b""
    release = Release.objects.get(version="1.0")

    Damage.objects.note(release, INITRD, "changed", at=timezone.now())

    assert client.get(FILE).status_code == 410


@pytest.mark.usefixtures("bucket")
def test_nothing_is_kept_where_nothing_tells_of_a_head(demo: Channel) -> None:
    version()
    assert queries() == 1


def test_signature_that_is_just_made_is_waited_for(demo: Channel, client: Client) -> None:
    Head.objects.update(moved_at=timezone.now())
    whole = client.get(SIGNATURE).content
    kept = SignedSums.objects.get()
    SignedSums.objects.all().delete()

    def sign() -> None:
        kept.save(force_insert=True)
        connection.close()

    later = threading.Timer(0.3, sign)
    later.start()
    answer = client.get(SIGNATURE)
    later.join()

    assert (answer.status_code, answer.content) == (200, whole)


def test_signature_that_does_not_come_is_said_to_be_missing(
    demo: Channel, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SIGNED_WITHIN", 0.2)
    SignedSums.objects.all().delete()
    assert client.get(SIGNATURE).status_code == 404

    monkeypatch.setattr(views, "SIGNED_WITHIN", 3600.0)
    long_ago = timezone.now() - documents.SIGNED_SOON - timedelta(seconds=1)
    Head.objects.update(moved_at=long_ago)
    assert client.get(SIGNATURE).status_code == 404, "at once"
    Head.objects.update(moved_at=timezone.now())
    Release.objects.update(signed_by="")
    assert client.get(SIGNATURE).status_code == 404, "nobody signs it"
