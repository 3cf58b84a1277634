"""Hashing in pieces: once, of the right bytes only, and gone with the files."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds import pipeline, tasks
from builds.models import Artifact, Damage, Pieces, Release, piece_length
from builds.pipeline import withdraw
from builds.pipeline.pieces import PieceHashes
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.feeds.conftest import LARGE
from builds.tests.models.rows import NOW, channel

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Pair:
    """Two published releases whose files are stored."""

    old: Release
    new: Release


@pytest.fixture
def pair(db: None) -> Pair:
    of = channel()
    return Pair(stored_release(of, "1.0"), stored_release(of, "2.0"))


def hashed() -> int:
    return pipeline.hash_pieces(at=NOW, rate=None, seconds=60)


def sha1_pieces(data: bytes, length: int) -> bytes:
    parts = (data[at : at + length] for at in range(0, len(data), length))
    return b"".join(hashlib.sha1(part).digest() for part in parts)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 32))
def test_hashes_do_not_depend_on_how_the_bytes_came(blocks: list[bytes], length: int) -> None:
    hashes = PieceHashes(length)
    for block in blocks:
        hashes.update(block)
    data = b"".join(blocks)
    assert hashes.sha1 == sha1_pieces(data, length)
    assert hashes.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("size", "length"),
    [(1, 2**18), (500 * 2**20, 2**18), (501 * 2**20, 2**19), (2**30, 2**20), (2**45, 2**24)],
)
def test_piece_is_so_long_that_there_are_not_too_many(size: int, length: int) -> None:
    assert piece_length(size) == length


def test_every_published_file_is_hashed_once(pair: Pair) -> None:
    assert hashed() == Artifact.objects.count() == Pieces.objects.count()
    assert hashed() == 0


def test_pieces_are_those_of_the_stored_bytes(large: Artifact) -> None:
    data = artifacts().read(large.key)
    assert data is not None
    pieces = large.pieces
    assert bytes(pieces.sha1) == sha1_pieces(data, pieces.length)
    assert len(list(pieces.digests())) == LARGE // pieces.length + 1


def test_task_hashes_what_was_published(pair: Pair) -> None:
    tasks.pieces()
    assert not Artifact.objects.without_pieces().exists()


@pytest.mark.usefixtures("bucket")
def test_files_in_a_bucket_are_hashed_too(large: Artifact) -> None:
    assert len(bytes(large.pieces.sha1)) == 20 * (LARGE // large.pieces.length + 1)


def test_wrong_bytes_get_no_pieces_but_an_alarm(pair: Pair, storage_folder: Path) -> None:
    initrd = pair.new.artifacts.get(name="initrd-x86_64-linux")
    path = storage_folder / initrd.key
    path.chmod(0o644)
    path.write_bytes(b"x" * initrd.size)
    hashed()
    assert not Pieces.objects.filter(artifact=initrd).exists()
    assert Damage.objects.of(pair.new, initrd.name) is not None
    assert not Artifact.objects.without_pieces().exists(), "it is not read again and again"


def test_storage_that_is_away_stops_nothing(
    pair: Pair, storage_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    initrd = pair.new.artifacts.get(name="initrd-x86_64-linux")
    (storage_folder / initrd.key).unlink()
    with caplog.at_level(logging.WARNING):
        assert hashed() == Artifact.objects.count() - 1
    assert f"the pieces of {initrd.key} are hashed later" in caplog.text


def test_time_that_is_up_leaves_the_rest_to_the_next_tick(pair: Pair) -> None:
    assert pipeline.hash_pieces(at=NOW, rate=None, seconds=-1) == 0


def test_pieces_go_with_the_files(pair: Pair) -> None:
    hashed()
    withdraw(pair.old, "It does not boot.", by=None, at=NOW)
    list(pipeline.collect(at=NOW + timedelta(days=30)))
    old = Release.objects.get(pk=pair.old.pk)
    assert old.files_removed_at is not None
    assert not Pieces.objects.of_release(old.pk).exists()
    assert Pieces.objects.of_release(pair.new.pk).exists()
