"""Keys are the paths of URLs: nothing that climbs, hides or needs quoting may be in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.storage import content_type, is_file_name, release_key


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a b", "a\nb", "ä", "-rf", "x" * 121, "a\0"]
)
def test_dangerous_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a file"):
        release_key("demo", "1", name)


@given(st.text())
def test_a_key_never_leaves_its_folder(name: str) -> None:
    if is_file_name(name):
        assert release_key("demo", "1", name) == f"releases/download/demo/1/{name}"
        assert "/" not in name
        assert name not in {".", ".."}


def test_no_file_is_said_to_be_text_that_a_browser_would_run() -> None:
    names = ["a.html", "a.svg", "a.js", "bzImage-x86_64-linux", "nixos.iso", "x.xml"]
    assert {content_type(name) for name in names} == {"application/octet-stream"}
