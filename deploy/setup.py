"""`python3 -m deploy setup GROUP…`: system packages, and the mini image's inputs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from deploy import apt, needs
from deploy.apt import Apt
from deploy.guards import data_dir
from deploy.needs import Need
from deploy.steps import mini_inputs
from deploy.terminal import Refused, say

GROUPS = {
    "python": needs.PYTHON,
    "run": needs.RUN,
    "lint": needs.LINT,
    "test": needs.TEST,
    "bench": needs.BENCH,
}
INPUTS = "inputs"
POLITE = 10  # what brings up the page goes first


def main(arguments: list[str]) -> int:
    """Install what the groups lack; with "inputs", fetch those too. Never fails: it tells."""
    folder = data_dir()
    os.nice(POLITE)
    for group in arguments:
        if group == INPUTS:
            fetch_inputs()
        else:
            install(needs.missing(GROUPS[group]), folder / "log" / "apt.log")
    return 0


def announce(wanted: Sequence[Need]) -> bool:
    """Say what will be installed, or what is missing and what that costs; whether to install."""
    lacking = needs.missing(wanted)
    if not lacking:
        return False
    reason = apt.why_not()
    if reason:
        for need in lacking:
            say(need.lack())
        say(f"goes on with what is there: {reason}")
        return False
    purposes: dict[str, list[str]] = {}
    for need in lacking:
        packages = purposes.setdefault(need.purpose, [])
        if need.package not in packages:
            packages.append(need.package)
    plan = "; ".join(f"for {purpose}: {' '.join(names)}" for purpose, names in purposes.items())
    say(f"will install with apt, {plan} (SKIP_SYSTEM=1 leaves the system alone)")
    return True


def install(lacking: Sequence[Need], log: Path) -> None:
    """Install what is lacking where that is allowed; say what stays missing."""
    if not lacking or apt.why_not():
        return
    started = time.monotonic()
    try:
        Apt(log).install(list(dict.fromkeys(need.package for need in lacking)))
    except Refused as refusal:
        say(str(refusal))
    still = needs.missing(lacking)
    for need in still:
        say(need.lack())
    count = len(lacking) - len(still)
    if count:
        say(f"system packages: {time.monotonic() - started:.0f} s")


def fetch_inputs() -> None:
    """Put the mini image's inputs into the Nix store; without them demo can't be built."""
    started = time.monotonic()
    done = subprocess.run(mini_inputs(), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[-1] if said else f"code {done.returncode}"
        say(f"the channel demo can't be built: {reason}")
        return
    seconds = time.monotonic() - started
    say(f"inputs of the mini image: {seconds:.0f} s")
