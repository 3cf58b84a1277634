"""Lines as safe text: colours stay, everything else that acts goes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.logs import Span, plain, spans

LOOKS = {
    "plain": ("gcc -c a.c", [("gcc -c a.c", "")]),
    "empty": ("", [("", "")]),
    "red": ("a \x1b[31mred\x1b[0m b", [("a ", ""), ("red", "ansi-red"), (" b", "")]),
    "bold and green": ("\x1b[1;32mok", [("ok", "ansi-bold ansi-green")]),
    "bright is the same": ("\x1b[91mx", [("x", "ansi-red")]),
    "one of 256": ("\x1b[38;5;2mx\x1b[38;5;200my", [("x", "ansi-green"), ("y", "")]),
    "any of all": ("\x1b[38;2;1;31;4mx", [("x", "")]),
    "ground is dropped": ("\x1b[41mx", [("x", "")]),
    "weight ends alone": (
        "\x1b[1;31mx\x1b[22my\x1b[39mz",
        [("x", "ansi-bold ansi-red"), ("y", "ansi-red"), ("z", "")],
    ),
    "nothing means reset": ("\x1b[31mx\x1b[my", [("x", "ansi-red"), ("y", "")]),
    "link": ("\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\", [("text", "")]),
    "title": ("\x1b]0;title\x07x", [("x", "")]),
    "cursor": ("\x1b[2K\x1b[1Ax", [("x", "")]),
    "eight bit": ("\x9b31mx", [("x", "ansi-red")]),
    "endless sequence": ("x\x1b[3", [("x", "")]),
    "direction": ("a\u202eb", [("a\ufffdb", "")]),
}


@pytest.mark.parametrize("case", LOOKS)
def test_line_becomes_text_with_looks(case: str) -> None:
    line, wanted = LOOKS[case]
    assert spans(line) == tuple(Span(text, classes) for text, classes in wanted)


@given(st.lists(st.sampled_from("\x1b[]Pm;0138\\\x07\x9b\x9d\u202e ab<&") | st.characters()))
def test_nothing_that_acts_is_left_whatever_comes(characters: list[str]) -> None:
    line = "".join(characters)
    shown = spans(line)
    text = "".join(span.text for span in shown)
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text) is None
    assert (
        re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", plain(line)) is None
    )
    assert text == plain(line).replace("\n", "") or "\n" in line
    for span in shown:
        assert re.fullmatch(r"(ansi-[a-z]+( ansi-[a-z]+)*)?", span.classes)


def test_endless_line_is_cut_whatever_its_looks() -> None:
    line = "\x1b[31m" + "x" * 3000 + "\x1b[32m" + "y" * 3000
    assert sum(len(span.text) for span in spans(line)) == 4001
    assert spans("x" * 10_000)[0].text == "x" * 4000 + "…"


def test_a_thousand_open_sequences_take_no_time() -> None:
    line = "\x1b]8;;" * 20_000
    assert spans(line) == (Span(""),)
