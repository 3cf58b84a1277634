"""A build's log: within its limit, under its lease, and in one file once the build has ended."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import logs, pipeline, tasks
from builds.builders.base import Progress
from builds.choices import BuildStatus
from builds.models import Build, LeaseLost, LogArchive, LogChunk
from builds.pipeline import Step
from builds.pipeline.archive import log_name
from builds.pipeline.log import PIECE_SIZE, BuildLog
from builds.storage import FolderStorage, artifacts
from builds.tests.builders.flakes import attribute
from builds.tests.factories import NOW, BuildFactory, ChannelFactory, ReleaseFactory, write_log
from builds.tests.pipeline.conftest import MakeChannel, draft_of
from builds.tests.pipeline.driver import drive, take
from builds.web.build_page import timing_in_words

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """The process ends here, as with kill -9."""


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number:06}" for number in range(first, last + 1)]


def text_of(build: Build) -> list[str]:
    return "".join(logs.text(build.pk)).splitlines()


def test_log_is_written_whole_with_its_numbers() -> None:
    build = BuildFactory(running=True)
    log = BuildLog(build)
    for line in numbered(1, 30_000):
        log.line(line)
    log.progress(Progress(done=3, expected=4))
    log.close()
    assert text_of(build) == numbered(1, 30_000)
    assert logs.last_line(build.pk) == 30_000
    assert [line.number for line in logs.window(build.pk, 15_000, most=3).lines] == [
        15_000,
        15_001,
        15_002,
    ]
    build.refresh_from_db()
    assert build.percent == 75


def test_first_line_is_written_at_once_and_a_flood_in_pieces_that_stay_small() -> None:
    build = BuildFactory(running=True)
    log = BuildLog(build)
    log.line("it begins")
    assert text_of(build) == ["it begins"]
    lines = numbered(2, 200_000)
    for at in range(0, len(lines), 5_000):
        log.extend(lines[at : at + 5_000])
    log.extend(["zero\0and\nend", "last"])
    log.close()
    assert text_of(build) == ["it begins", *lines, "zero\N{REPLACEMENT CHARACTER}and end", "last"]
    sizes = [len(chunk.text) for chunk in LogChunk.objects.of(build.pk)]
    assert max(sizes) < 1.2 * PIECE_SIZE
    assert len(sizes) < 2 * sum(sizes) / PIECE_SIZE


def test_log_past_its_limit_keeps_both_ends_and_says_so(settings: LazySettings) -> None:
    settings.BUILD_LOG_LIMIT = 1024 * 1024
    build = BuildFactory(running=True)
    log = BuildLog(build)
    for line in numbered(1, 400_000):
        log.line(line)
    log.close()
    pieces = list(logs.pieces(build.pk))
    numbers = [number for piece in pieces for number in range(piece.first, piece.last + 1)]
    kept = text_of(build)
    assert numbers == sorted(set(numbers))
    assert (kept[0], kept[-1]) == ("line 000001", "line 400000")
    assert sum(len(line) + 1 for line in kept) < 1.2 * 1024 * 1024
    [note] = [line for line in kept if not line.startswith("line ")]
    assert note == f"… {400_000 - len(kept) + 1:,} lines were left out here: {LONGER}"
    for number, line in zip(numbers, kept, strict=True):
        assert line in {f"line {number:06}", note}
    _end(build)
    pipeline.archive_log(build)
    assert text_of(build) == kept
    assert list(logs.pieces(build.pk, numbers[-5])) != []


LONGER = "the log is longer than 1,048,576 bytes …"


def test_worker_that_was_given_up_writes_no_line_more() -> None:
    build = BuildFactory(running=True, log=["a line"])
    log = BuildLog(build)
    Build.objects.filter(pk=build.pk).update(lease_until=timezone.now() - timedelta(hours=1))
    assert Build.objects.get(pk=build.pk).lose()
    with pytest.raises(LeaseLost):
        log.line("too late")
    with pytest.raises(LeaseLost):
        log.close()
    assert text_of(build) == ["a line"]


def _end(build: Build) -> None:
    build.refresh_from_db()
    build.fail("It broke.", kind="x", excerpt="", may_retry=False)


def test_log_lies_beside_the_files_of_its_release_and_is_read_from_there(
    storage_folder: Path,
) -> None:
    build = BuildFactory(running=True)
    write_log(build, numbered(1, 200_000), per_chunk=5000)
    before = text_of(build)
    _end(build)

    pipeline.archive_log(build)

    assert not LogChunk.objects.exists()
    assert text_of(build) == before
    archive = LogArchive.objects.get()
    assert len(archive.index) > 2, "read by parts"
    assert logs.window(build.pk, 150_000, most=1).lines[0].spans[0].text == "line 150000"
    assert logs.window(build.pk).total == 200_000
    release = build.release
    file = storage_folder / "releases/download" / release.channel.name / str(release.version)
    packed = (file / "build-netboot-x86_64-linux.1.log.gz").read_bytes()
    assert gzip.decompress(packed).decode().splitlines() == before
    assert archive.packed_size == len(packed) < archive.size / 4


@contextmanager
def _dies_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> Iterator[None]:
    """Until the block ends, nothing is done any more from this call on."""

    def die(*_arguments: object, **_named: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Killed):
            yield


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (FolderStorage, "put_once"),
        (type(LogArchive.objects), "take_over"),
        (type(LogChunk.objects.all()), "delete"),
    ],
    ids=["before the file", "between file and rows", "within the transaction"],
)
def test_killed_while_archiving_nothing_is_lost_and_the_next_try_ends_it(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    build = BuildFactory(failed=True)
    write_log(build, numbered(1, 5000))
    with _dies_at(monkeypatch, owner, name):
        pipeline.archive_log(build)
    assert text_of(build) == numbered(1, 5000)
    assert not LogArchive.objects.exists()

    pipeline.archive_logs(at=timezone.now())

    assert text_of(build) == numbered(1, 5000)
    assert not LogChunk.objects.exists()


def test_leftover_of_another_compressor_is_replaced() -> None:
    build = BuildFactory(failed=True)
    write_log(build, numbered(1, 100))
    artifacts().write_once(build.release.key(log_name(build)), b"half a file")
    pipeline.archive_log(build)
    assert text_of(build) == numbered(1, 100)
    pipeline.archive_log(build)
    assert text_of(build) == numbered(1, 100)


def test_log_of_a_running_build_is_left_alone() -> None:
    build = BuildFactory(running=True, log=["a line"])
    pipeline.archive_log(build)
    pipeline.archive_logs(at=timezone.now())
    assert LogChunk.objects.exists()
    assert not LogArchive.objects.exists()


def test_real_builds_leave_their_logs(make_channel: MakeChannel) -> None:
    script = "echo before; for i in 1 2 3; do echo line $i; done; exit 1"
    release = drive(draft_of(make_channel(netboot=script)))
    for build in release.builds.all():
        assert build.status == BuildStatus.FAILED
        before = text_of(build)
        assert any("line 3" in line for line in before)
        assert before[0].startswith(f"Evaluating {attribute('netboot')} of path:/")
        pipeline.archive_log(build)
        assert text_of(build) == before
    assert LogArchive.objects.count() == release.builds.count()


def test_worker_puts_the_log_away_when_its_build_has_ended(make_channel: MakeChannel) -> None:
    release = draft_of(make_channel(netboot="echo a line; exit 1"))
    take(Step("plan", release.pk))
    build = Build.objects.get()

    tasks.build(build.pk)

    assert LogArchive.objects.get().build == build
    assert not LogChunk.objects.exists()
    assert any("a line" in line for line in text_of(build))


def test_usual_time_is_the_median_of_the_last_successes_of_its_like() -> None:
    channel = ChannelFactory()
    for minutes in (1, 50, 3, 4, 2):
        release = ReleaseFactory(channel=channel, published=True)
        build = release.builds.get(variant="netboot")
        release.builds.update(finished_at=build.started_at + timedelta(minutes=minutes))
    ReleaseFactory(channel=channel, failed=True)
    other = BuildFactory(succeeded=True)
    build = BuildFactory(running=True, release__channel=channel)
    assert Build.objects.like(build).usual_duration() == timedelta(minutes=3)
    assert Build.objects.like(other).usual_duration() == timedelta(minutes=14)
    fresh = BuildFactory(running=True)
    assert Build.objects.like(fresh).usual_duration() is None
    assert timing_in_words(build, timedelta(minutes=14), at=NOW) == "5:00 of about 14:00"
    assert timing_in_words(fresh, None, at=NOW) == (
        "5:00 so far; no earlier build tells how long it takes"
    )
