"""Ranges by property: the part that is answered is the part that was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.downloads.ranges import NotSatisfiable, Span, is_unchanged, requested_span

ETAG = '"abc"'
SIZES = st.integers(min_value=1, max_value=10**12)


@given(SIZES, st.integers(0, 10**12), st.integers(0, 10**12))
def test_first_and_last_byte_give_the_bytes_between(size: int, first: int, length: int) -> None:
    last = first + length
    if first >= size:
        with pytest.raises(NotSatisfiable):
            requested_span(f"bytes={first}-{last}", "", ETAG, size)
    else:
        span = requested_span(f"bytes={first}-{last}", "", ETAG, size)
        assert span == Span(first, min(last, size - 1) - first + 1)


@given(SIZES, st.integers(1, 10**13))
def test_suffix_gives_the_last_bytes(size: int, suffix: int) -> None:
    span = requested_span(f"bytes=-{suffix}", "", ETAG, size)

    assert span is not None
    assert span.start + span.length == size
    assert span.length == min(suffix, size)


@given(SIZES, st.text())
def test_any_header_gives_a_part_inside_the_file_or_none(size: int, header: str) -> None:
    try:
        span = requested_span(header, "", ETAG, size)
    except NotSatisfiable:
        return
    if span is not None:
        assert 0 <= span.start < span.start + span.length <= size


@pytest.mark.parametrize(
    "header",
    ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b", "bytes=²-"],
)
def test_what_is_not_one_range_is_left_unheeded(header: str) -> None:
    assert requested_span(header, "", ETAG, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", f"bytes={'9' * 5000}-"])
def test_range_outside_the_file_is_not_satisfiable(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        requested_span(header, "", ETAG, 100)


def test_range_of_a_file_that_changed_since_is_left_unheeded() -> None:
    assert requested_span("bytes=0-1", '"old"', ETAG, 100) is None
    assert requested_span("bytes=0-1", ETAG, ETAG, 100) == Span(0, 2)


@pytest.mark.parametrize("header", [ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*"])
def test_reader_that_has_these_bytes_is_told_so(header: str) -> None:
    assert is_unchanged(header, ETAG)


@pytest.mark.parametrize("header", ["", '"x"', "abc", '"abcd"'])
def test_reader_that_has_other_bytes_gets_these(header: str) -> None:
    assert not is_unchanged(header, ETAG)
