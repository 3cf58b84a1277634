"""`make fuzz`: a million runs of each target; what breaks one is kept and printed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from random import Random

import django


def main() -> int:
    """The number of targets that something broke."""
    options = argparse.ArgumentParser(prog="make fuzz")
    options.add_argument("targets", nargs="*", help="all, where none is named")
    options.add_argument("--runs", type=int, default=1_000_000, help="of each (1,000,000)")
    options.add_argument("--seed", type=int, default=None, help="the same seed, the same bytes")
    chosen = options.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from builds.tests.mutated.targets import TARGETS  # noqa: PLC0415 - only after the set-up

    seed = chosen.seed if chosen.seed is not None else time.time_ns()
    return sum(not runs(name, chosen.runs, seed) for name in chosen.targets or sorted(TARGETS))


def runs(name: str, count: int, seed: int) -> bool:
    """Feed a target so often; whether nothing broke it."""
    from builds.tests.mutated.mutations import mutated  # noqa: PLC0415 - only after the set-up
    from builds.tests.mutated.targets import TARGETS  # noqa: PLC0415 - only after the set-up

    target, draw, begun = TARGETS[name], Random(seed), time.monotonic()
    for number in range(count):
        data = mutated(target.seeds, target.words, draw)
        try:
            target.feed(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it should not be
            print(f"{name}: run {number} of seed {seed} broke it: {error!r}\n{data!r}")  # noqa: T201
            return False
    seconds = time.monotonic() - begun
    print(f"{name}: {count} runs of seed {seed} in {seconds:.0f} s, nothing broke it")  # noqa: T201
    return True


if __name__ == "__main__":
    sys.exit(main())
