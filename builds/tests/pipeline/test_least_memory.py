"""The search for the least RAM: few boots, from the last number on."""

from __future__ import annotations

import pytest

from builds.choices import Verdict
from builds.emulator.watch import BootResult
from builds.pipeline.checks.least import MOST_BOOTS, Least, search


class Image:
    """An image that boots with so much RAM and more."""

    def __init__(self, needs: int) -> None:
        self.needs = needs
        self.tried: list[int] = []

    def __call__(self, memory: int) -> BootResult:
        self.tried.append(memory)
        verdict = Verdict.PASSED if memory >= self.needs else Verdict.HUNG
        return BootResult(verdict, 4.0, "tcg", "", "", memory=memory)


@pytest.mark.parametrize("needs", [64, 65, 150, 192, 300, 352])
def test_search_comes_within_a_step_of_what_is_needed(needs: int) -> None:
    image = Image(needs)
    found = search(image, known=None, enough=352)
    assert isinstance(found, Least)
    assert needs <= found.boots < needs + 32
    assert found.result.memory == found.boots
    assert len(image.tried) <= MOST_BOOTS


@pytest.mark.parametrize("needs", [900, 1990, 2500])
def test_large_images_are_measured_to_a_twentieth(needs: int) -> None:
    image = Image(needs)
    found = search(image, known=None, enough=2752)
    assert isinstance(found, Least)
    assert needs <= found.boots <= needs * 1.06 + 32
    assert len(image.tried) <= MOST_BOOTS


def test_search_begins_at_the_last_number_and_takes_two_boots_where_nothing_changed() -> None:
    image = Image(1000)
    found = search(image, known=1024, enough=2752)
    assert isinstance(found, Least)
    assert (found.boots, found.fails) == (1024, 960)
    assert image.tried == [1024, 960]


def test_image_that_grew_is_measured_between_the_last_number_and_what_is_enough() -> None:
    image = Image(1500)
    found = search(image, known=1024, enough=2752)
    assert isinstance(found, Least)
    assert 1500 <= found.boots < 1632
    assert image.tried[:2] == [1024, 2752]


def test_image_that_shrank_is_found_with_growing_steps() -> None:
    image = Image(300)
    found = search(image, known=1024, enough=2752)
    assert isinstance(found, Least)
    assert 300 <= found.boots < 364
    assert len(image.tried) <= MOST_BOOTS


def test_image_that_does_not_boot_at_all_gives_its_verdict() -> None:
    found = search(Image(9000), known=None, enough=352)
    assert isinstance(found, BootResult)
    assert found.verdict == Verdict.HUNG
