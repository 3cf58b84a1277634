"""The simulated queue gives what theory gives, and the tables of scale what their numbers say."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bench import queueing, scale
from bench.queueing import Build, Lengths, simulate, weekly
from bench.scale import Assumptions, Measured

PAGE = """
| what | median | spread | goal |
| --- | --- | --- | --- |
| MiB a second into a folder | 300 | 250 to 310 |  |
| MiB a second into S3 | 100 | 90 to 110 |  |
| MiB a second to 50 readers | 1,500 | 1,400 to 1,600 |  |
| reads a second that were answered | 900 |  |  |

Later: | MiB a second into a folder | 1 |

| MiB a second into a folder | 400 | 250 to 310 |  |
"""


def random_builds(rate: float, count: int) -> list[Build]:
    """Arrivals by chance, each of mean length 1."""
    chance = random.Random(7)
    at = 0.0
    builds = []
    for _ in range(count):
        at += chance.expovariate(rate)
        builds.append(Build(at, chance.expovariate(1)))
    return builds


@pytest.mark.parametrize(
    ("workers", "rate", "mean"),
    [(1, 0.8, 0.8 / (1 - 0.8)), (2, 1.6, 1.6**2 / (4 - 1.6**2)), (1, 0.5, 1.0)],
)
def test_mean_wait_is_that_of_erlang(workers: int, rate: float, mean: float) -> None:
    came = simulate(random_builds(rate, 200_000), workers)

    assert sum(came.waits) / len(came.waits) == pytest.approx(mean, rel=0.1)
    assert came.busy == pytest.approx(rate / workers, rel=0.03)


def test_builds_of_one_moment_wait_for_each_other() -> None:
    came = simulate([Build(0, 10)] * 4, workers=1)
    assert came.waits == (0, 10, 20, 30)
    assert simulate([Build(0, 10)] * 4, workers=4).waits == (0, 0, 0, 0)
    assert came.at(0.5) == 20
    assert came.at(1.0) == 30


def test_lengths_have_the_median_and_the_share_that_they_name() -> None:
    chance = random.Random(3)
    lengths = sorted(Lengths(900, 2700).draw(chance) for _ in range(20_000))
    assert lengths[10_000] == pytest.approx(900, rel=0.03)
    assert lengths[19_000] == pytest.approx(2700, rel=0.05)


def test_slots_over_the_week_wait_less_than_slots_at_once() -> None:
    lengths = Lengths(900, 2700)
    waits = [
        simulate(weekly(slots(50), 5, lengths, 4), workers=2).at(0.95)
        for slots in (queueing.spread, queueing.one_night, queueing.at_once)
    ]
    assert waits == sorted(waits)
    assert waits[0] < waits[2] / 5


def test_measured_numbers_are_the_newest_of_the_page() -> None:
    assert scale.measured(PAGE) == Measured(store=400, store_s3=100, download=1500, reads=900)


def test_missing_measurement_is_named() -> None:
    with pytest.raises(LookupError, match="MiB a second into S3"):
        scale.measured(PAGE.replace("into S3", "elsewhere"))


def test_load_that_was_not_measured_is_left_out() -> None:
    usual = Assumptions()
    known = scale.measured(PAGE.replace("reads a second that were answered", "nothing"))
    assert known.reads is None
    assert "requests/s" not in scale.report(usual, known)
    assert "requests/s" in scale.report(usual, scale.measured(PAGE))


def test_ten_thousand_downloads_an_hour_are_what_they_are() -> None:
    usual = Assumptions()
    assert scale.sent_bits(usual) / 1e9 == pytest.approx(22.2, abs=0.03)
    assert scale.at_the_same_time(usual) == pytest.approx(10_000 / 3600 * 80)
    assert scale.kept_bytes(usual) == pytest.approx(50 * 6 * 15 * 2.7e9)
    twice = scale.report(replace(usual, downloads=20_000), scale.measured(PAGE))
    assert "44.4 Gbit/s" in twice
    assert "| bytes that are paid for by the GB | 14,600,000 GB | 0.01 | 146,000 |" in twice


def test_assumptions_are_given_by_name() -> None:
    given = scale.given_by(["--channels", "5", "--egress-price", "0.05"])
    assert (given.channels, given.egress_price) == (5, 0.05)
    with pytest.raises(ValueError, match="there is no --chanels"):
        scale.given_by(["--chanels", "5"])
