"""Numbers and times in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builds.tests.factories import NOW
from builds.web import words


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=61), "1 minute ago"),
        (timedelta(minutes=89), "89 minutes ago"),
        (timedelta(minutes=95), "1 hour ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=21), "3 weeks ago"),
        (timedelta(days=70), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_ages(passed: timedelta, said: str) -> None:
    assert words.age(NOW - passed, at=NOW) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (327_417_856, "312 MiB"),
        (1024**3 - 1, "1.0 GiB"),
        (3 * 1024**3, "3.0 GiB"),
        (5 * 1024**5, "5120 TiB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert words.size(count) == said


def test_what_lies_ahead() -> None:
    assert words.ahead(NOW + timedelta(days=2, hours=3), at=NOW) == "in 2 days"
    assert words.ahead(NOW - timedelta(days=2), at=NOW) == "now"


def test_clock_and_slot_and_moment() -> None:
    assert words.clock(21.4) == "0:21"
    assert words.clock(842) == "14:02"
    assert words.clock(3723) == "1:02:03"
    assert words.slot(NOW) == "Sunday 12:00 UTC"
    assert words.moment(NOW) == "Sun 22 Nov 2026, 12:00:00 UTC"


def test_sentence_is_one_line_without_its_full_stop_and_not_endless() -> None:
    assert words.sentence("It broke.\nand more") == "It broke"
    assert len(words.sentence("x" * 500)) == words.LONGEST_SENTENCE
    assert words.sentence("") == ""
