"""The small web server of a check: a draft's files under the names that they will have."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from builds.models import Release
from builds.pipeline import documents, naming
from builds.pipeline.checks.server import Shelf, serving_release
from builds.storage import artifacts
from builds.tests.factories import ArtifactFactory, BuildFactory, ReleaseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def release() -> Release:
    """A draft with a kernel and an initrd in the storage."""
    release: Release = ReleaseFactory(pinned=True, queue=False)
    build = BuildFactory(release=release, kernel_params="quiet", succeeded=True)
    for role in ("kernel", "initrd"):
        ArtifactFactory(release=release, build=build, role=role, stored=True)
    return release


def fetched(shelf: Shelf, key: str) -> bytes:
    url = shelf.url(key).replace("10.0.2.2", "127.0.0.1")
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def test_draft_is_served_with_the_script_that_publishing_will_write(release: Release) -> None:
    script = release.key(naming.script_name(release.system))
    initrd = release.artifacts.get(role="initrd")
    with serving_release(release) as shelf:
        assert fetched(shelf, script) == documents.boot_script(release, moving=False)
        assert fetched(shelf, initrd.key) == artifacts().read(initrd.key)
        assert shelf.asked == [script, initrd.key]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetched(shelf, release.key("other"))


def test_file_that_breaks_off_while_it_is_fetched_is_the_storages_fault(
    release: Release, storage_folder: Path
) -> None:
    initrd = release.artifacts.get(role="initrd")
    stored = storage_folder / initrd.key
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:5])
    with pytest.raises(OSError, match=r"initrd-x86_64-linux broke off \d+ bytes"):  # noqa: PT012, SIM117
        with serving_release(release) as shelf:
            with pytest.raises(http.client.IncompleteRead):
                fetched(shelf, initrd.key)
