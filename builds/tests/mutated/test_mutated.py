"""A sample of `make fuzz`, by a seed of its own, and that the mutations do mutate."""

from __future__ import annotations

from random import Random

import pytest

from builds.tests.mutated.__main__ import runs
from builds.tests.mutated.mutations import mutated
from builds.tests.mutated.targets import TARGETS

SAMPLE = 3000


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_that_comes_breaks_a_parser(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs(name, SAMPLE, seed=1), capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutations_differ_and_a_seed_repeats_them(name: str) -> None:
    target = TARGETS[name]

    def some() -> list[bytes]:
        draw = Random(7)
        return [mutated(target.seeds, target.words, draw) for _ in range(500)]

    assert some() == some()
    assert len(set(some())) > 350
    target.feed(b"")
    for seed in target.seeds:
        target.feed(seed)
