"""How tokens are written and read: any text at all is a token, or is not one and says why."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import example, given, settings, strategies

from builds.models import NoToken, holds_token
from builds.models.token_text import LETTERS, SHAPE, digest_of, new_text

LETTER = strategies.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def test_tokens_are_long_all_different_and_known_by_their_form() -> None:
    texts = {new_text() for _ in range(500)}
    assert len(texts) == 500
    for text in texts:
        assert re.fullmatch(r"nip_[0-9A-Za-z]{49}", text)
        assert len(text) == LETTERS
        assert digest_of(text) == hashlib.sha256(text.encode()).hexdigest()
        assert holds_token(f"https://x/?a={text}")


def test_every_letter_of_the_chance_varies() -> None:
    """The first letter of 43 holds what is left of 256 bits: 62 ** 42 < 2 ** 256 < 62 ** 43."""
    texts = [new_text() for _ in range(400)]
    for place in range(5, LETTERS - 6):
        assert len({text[place] for text in texts}) > 40
    assert len({text[4] for text in texts}) > 1


@settings(max_examples=60, deadline=None)
@given(strategies.integers(4, LETTERS - 1), LETTER)
def test_one_wrong_letter_is_found_without_the_database(place: int, letter: str) -> None:
    text = new_text()
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong == text:
        assert digest_of(wrong)
    else:
        with pytest.raises(NoToken, match="checksum"):
            digest_of(wrong)


@settings(deadline=None)
@given(strategies.integers(4, LETTERS - 2))
def test_two_neighbours_that_changed_places_are_found(place: int) -> None:
    text = new_text()
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if swapped != text:
        with pytest.raises(NoToken):
            digest_of(swapped)


@settings(max_examples=60, deadline=None)
@given(strategies.text() | strategies.from_regex(SHAPE, fullmatch=True))
@example("")
@example("nip_")
@example("nip_" + "٣" * 49)
@example("nip_" + "0" * 49 + "\n")
def test_any_other_text_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(NoToken) as error:
        digest_of(text)
    said = str(error.value)
    assert said.isascii()
    assert '"' not in said, "it stands in a header's quotes"
    assert len(text) < 9 or text not in said


@settings(deadline=None)
@given(strategies.integers(0, LETTERS - 1))
def test_token_that_was_cut_is_not_whole(length: int) -> None:
    with pytest.raises(NoToken):
        digest_of(new_text()[:length])
