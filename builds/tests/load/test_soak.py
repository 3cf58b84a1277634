"""What grows is told from what only wavers, and from what a short run can't tell."""

from __future__ import annotations

import random

from bench.soak import Sample, judged, rows, slope

LEAST = 2.0  # MiB an hour


def points(hours: float, hourly: float, noise: float) -> list[tuple[float, float]]:
    chance = random.Random(5)
    times = [hours * number / 400 for number in range(400)]
    return [(at, 100 + hourly * at + chance.gauss(0, noise)) for at in times]


def verdict(hours: float, hourly: float, noise: float) -> str:
    return judged(*slope(points(hours, hourly, noise)), LEAST)


def test_growth_is_missed_and_wavering_is_met() -> None:
    assert verdict(6, 5.0, noise=3) == "missed"
    assert verdict(6, 0.0, noise=3) == "met"
    assert verdict(6, 1.0, noise=0.5) == "met"
    assert abs(slope(points(6, 5.0, 3))[0] - 5) < 0.5


def test_short_run_that_wavers_proves_nothing() -> None:
    assert verdict(0.1, 0.0, noise=3).startswith("not proven")
    assert verdict(0.1, 100.0, noise=0.1) == "missed"
    assert judged(*slope(points(6, 0, 0)[:5]), LEAST).startswith("not proven")


def test_program_that_began_again_is_told() -> None:
    held = {"memory": 10.0, "open files": 5.0, "connections": 2.0}
    samples = [Sample(at / 100, held, frozenset({1 if at < 50 else 2})) for at in range(100)]

    table = rows({"web": samples}, "", hours=1)

    assert [row.meets for row in table[:4]] == ["met"] * 4
    assert (table[4].what, table[4].value) == ("web: processes that came meanwhile", "1")
    assert rows({}, "3 of 502 /", hours=1)[0].meets == "missed"
