"""The log of Nix, as its versions write it, and as no version would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.builders.base import Progress
from builds.builders.log_relay import LogRelay
from builds.builders.nix_command import Silence
from builds.builders.nix_log import NixLog, strip_escapes
from builds.builders.watched import Lines
from builds.choices import Stage
from builds.tests.builders.sinks import Memory

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["msg", "start", "stop", "result"]) | JSON,
        "id": st.integers(0, 4) | JSON,
        "type": st.sampled_from([0, 100, 101, 102, 104, 105, 106, 107]) | JSON,
        "fields": st.lists(st.integers(0, 200) | st.text() | JSON) | JSON,
        "msg": st.text() | JSON,
        "text": st.text() | JSON,
        "raw_msg": JSON,
    },
)


def event(**members: Any) -> str:
    return "@nix " + json.dumps(members)


def start(activity: int, kind: int, **more: Any) -> str:
    return event(action="start", id=activity, type=kind, level=3, **more)


def result(activity: int, kind: int, *fields: object) -> str:
    return event(action="result", id=activity, type=kind, fields=fields)


@given(EVENTS | JSON)
def test_no_event_stops_the_parser(members: Any) -> None:
    log = NixLog()
    lines = log.read("@nix " + json.dumps(members))
    assert all("\0" not in line and line.encode() is not None for line in lines)
    assert log.progress.done >= 0 or log.progress.expected >= log.progress.done


@given(st.text())
def test_no_text_stops_the_parser(text: str) -> None:
    NixLog().read(text)
    NixLog().read("@nix " + text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_line_that_is_no_event_passes_as_it_is(text: str) -> None:
    assert NixLog().read(text) == [text]


def test_build_log_line_names_its_derivation() -> None:
    log = NixLog()
    path = "/nix/store/s226piqgql46zqafli2l0kh8404g7jw9-linux-6.12.drv"
    building = f"building '{path}'"
    assert log.read(start(1, 105, text=building, fields=[path, "", 1, 1])) == [building]
    assert log.read(result(1, 101, "  CC  main.o")) == ["linux-6.12>   CC  main.o"]


@pytest.mark.parametrize("name", ["lin\ud800x", "a\nb", "a\0b", "a b", ""])
def test_name_that_is_no_store_paths_is_left_out(name: str) -> None:
    log = NixLog()
    log.read(start(1, 105, text="", fields=[f"/nix/store/s226piqg-{name}.drv"]))
    assert log.read_all([raw(result(1, 101, "CC main.o"))]) == ["CC main.o"]


def raw(line: str) -> bytes:
    return line.encode("utf-8", "surrogatepass")


def as_nix_writes_it(text: str, activity: int = 7) -> bytes:
    said = {"action": "result", "fields": [text], "id": activity, "type": 101}
    return raw("@nix " + json.dumps(said, separators=(",", ":"), ensure_ascii=False))


TEXTS = st.text(alphabet='ab"\\\t\x1b\0é\ud800\r\n\x0b\x1c\x85\u2028', max_size=4)
BUILD_STARTS = raw(start(7, 105, text="", fields=["/nix/store/s226piqgql46-mini.drv"]))
OTHERS = [
    BUILD_STARTS,
    raw(start(1, 104)),
    raw(result(1, 105, 1, 2, 0, 0)),
    raw(result(7, 107, "after the build")),
    raw(result(7, 101, "one", "two")),
    raw(result(7, 101, 5)),
    raw(event(action="result", id=True, type=101, fields=["x"])),
    raw(event(action="stop", id=7)),
    raw(event(action="msg", msg="error: it broke")),
    as_nix_writes_it("x")[5:],
    b"," + as_nix_writes_it("x")[5:],
    as_nix_writes_it("x") + b"," + as_nix_writes_it("x")[5:],
    as_nix_writes_it("x").replace(b"x", b"\x01"),
    as_nix_writes_it("x").replace(b"x", b"\x7f"),
    as_nix_writes_it("x").replace(b"x", b'x","y'),
    as_nix_writes_it("x").replace(b"x", b'"x'),
    as_nix_writes_it("x", activity=8),
    b"@nix ",
    b"]",
    b"",
    b"\xff",
]
RAW_LINES = (
    TEXTS.map(as_nix_writes_it)
    | st.sampled_from(["", "one", "two"]).map(as_nix_writes_it)
    | st.sampled_from(OTHERS)
)


@given(
    st.lists(RAW_LINES, min_size=1, max_size=12)
    | st.lists(RAW_LINES, min_size=1, max_size=12).map(lambda lines: [BUILD_STARTS, *lines])
)
def test_lines_at_once_give_what_they_give_one_by_one(lines: list[bytes]) -> None:
    together, apart = NixLog(), NixLog()
    one_by_one = [text for line in lines for text in apart.read(line.decode("utf-8", "replace"))]
    assert together.read_all(lines) == one_by_one
    assert (together.progress, together.errors) == (apart.progress, apart.errors)


# Measured: 0.07 plain and 0.17 with colours; 1 and 4 when every line was read by itself.
DEAREST = 0.4


@pytest.mark.parametrize(
    "text",
    ["  CC      drivers/gpu/drm/amd/display/dc/line.o", '\x1b[32mgcc\x1b[0m\t-D"X" \\ é.o'],
    ids=["plain", "with colours, quotes and a tab"],
)
def test_long_log_costs_less_than_to_read_its_json(text: str) -> None:
    """By the CPU time of one thread, beside json.loads in turns: a busy machine does not matter."""
    lines = [as_nix_writes_it(f"{text} {number}") for number in range(10_000)]
    relay = LogRelay(Silence())
    relay.take([BUILD_STARTS])
    blocks = [lines[at : at + 500] for at in range(0, len(lines), 500)]
    ours, bare = [], []
    for _ in range(5):
        ours.append(_seconds(relay.take, blocks))
        bare.append(_seconds(lambda line: json.loads(line[5:]), lines))
    assert min(ours) / min(bare) < DEAREST


def _seconds(take: Callable[[Any], object], each: list[Any]) -> float:
    begun = time.thread_time()
    for one in each:
        take(one)
    return time.thread_time() - begun


def test_message_of_several_lines_becomes_several_lines() -> None:
    assert NixLog().read(event(action="msg", level=1, msg="one\ntwo")) == ["one", "two"]


def test_error_is_kept_without_colours_and_the_first_one_is_the_summary() -> None:
    log = NixLog()
    log.read(event(action="msg", level=0, msg="\x1b[31;1merror:\x1b[0m first", raw_msg="first"))
    log.read(event(action="msg", level=0, msg="\x1b[31;1merror:\x1b[0m 1 dependency failed"))
    assert log.errors == ["error: first", "error: 1 dependency failed"]
    assert log.summary == "first"


def test_warning_is_no_error() -> None:
    log = NixLog()
    log.read(event(action="msg", level=0, msg="warning: error: unable; retrying in 3 ms"))
    assert log.errors == []


def test_builds_and_bytes_are_counted_apart() -> None:
    log = NixLog()
    for line in (
        start(1, 102),
        start(2, 104),
        result(2, 105, 1, 4, 2, 0),
        result(1, 106, 101, 1000),
        start(3, 101),
        result(3, 105, 300, 600, 0, 0),
    ):
        log.read(line)
    assert log.progress == Progress(
        done=1, expected=4, running=2, bytes_done=300, bytes_expected=1000
    )


def test_ended_transfer_keeps_its_bytes() -> None:
    log = NixLog()
    for activity in (1, 2):
        log.read(start(activity, 101))
        log.read(result(activity, 105, 50, 50, 0, 0))
        log.read(event(action="stop", id=activity))
    assert (log.progress.bytes_done, log.progress.bytes_expected) == (100, 100)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1))
def test_progress_never_promises_less_than_is_done(counts: list[tuple[int, int]]) -> None:
    log = NixLog()
    for activity, (done, expected) in enumerate(counts):
        log.read(start(activity, 104))
        log.read(result(activity, 105, done, expected, 0, 0))
        assert log.progress.expected >= log.progress.done
        log.read(event(action="stop", id=activity))
        assert log.progress.expected >= log.progress.done


def test_copying_a_flake_is_not_building_yet() -> None:
    log = NixLog()
    log.read(start(1, 0, text="copying '/x'"))
    assert not log.building
    log.read(start(2, 102))
    assert log.building


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31;1mx\x1b[0m",
        "\x1b]8;;http://a/\x1b\\x\x1b]8;;\x1b\\",
        "\x1b]0;title\x07x",
        "\x1b(Bx",
    ],
)
def test_escapes_are_stripped(text: str) -> None:
    assert strip_escapes(text) == "x"


def test_relay_tells_the_stage_once_and_progress_seldom() -> None:
    sink = Memory()
    relay = LogRelay(sink)
    relay.take([start(1, 104).encode()])
    for done in range(1000):
        relay.take([result(1, 105, done, 1000, 1, 0).encode()])
    relay.tell_progress()
    assert sink.stages == [Stage.BUILD]
    assert len(sink.progresses) < 20
    assert sink.progresses[-1].done == 999


@given(st.lists(st.binary(max_size=40)))
def test_lines_are_the_same_however_the_stream_is_cut(chunks: list[bytes]) -> None:
    lines = Lines()
    read = [line for chunk in chunks for line in lines.feed(chunk)]
    read.extend(lines.rest())
    whole = b"".join(chunks).split(b"\n")
    assert read == (whole if whole[-1] else whole[:-1])
