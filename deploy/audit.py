"""`make audit`: what an attacker would try; all of it runs, the end says what did not hold."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from deploy import lock, needs
from deploy.guards import ROOT, data_dir
from deploy.lint import Check, bandit, passes
from deploy.terminal import say
from deploy.tests import provide

DOORS = "builds/tests/attack"
TRAIL = "builds/tests/audit"
PATIENCE = 15  # seconds for each answer of the service that knows of holes


def main(arguments: list[str]) -> int:
    """Run everything; 1 where something did not hold. What could not be asked is only said."""
    folder = data_dir()
    python = provide("test", needs.TEST, folder)
    manage = (python, str(ROOT / "manage.py"))
    pytest = (python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider")
    checks = [
        Check("bandit", bandit(python)),
        Check("locks", (python, "-m", "deploy.lock")),
        Check(
            "check --deploy",
            (*manage, "check", "--deploy", "--fail-level", "WARNING"),
            production=True,
        ),
        Check("doors, headers, inputs", (*pytest, DOORS)),
        Check("audit trail", (*pytest, TRAIL)),
    ]
    failed = [check.name for check in checks if not passes(check, folder)]
    if holes := known_holes(python):
        failed.append("pip-audit")
        for hole in holes:
            say(hole)
    if failed:
        say(f"audit failed: {', '.join(failed)}")
    return 1 if failed else 0


def known_holes(python: str) -> list[str]:
    """A line for each hole that is known of a pinned package.

    Says so where nobody could be asked: no answer is not a good answer.
    """
    command = [
        *(str(Path(python).parent / "pip-audit"), "--requirement", str(lock.path_of(lock.DEV))),
        *("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
        *("--timeout", str(PATIENCE)),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    try:
        told = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
        say(f"pip-audit: NOT SCANNED, the service that knows of holes did not answer: {said[-1]}")
        return []
    unknown = [each["name"] for each in told if "skip_reason" in each]
    if unknown:
        say(f"pip-audit: NOT SCANNED: {', '.join(unknown)}")
    found = [
        f"{each['name']} {each['version']}: {hole['id']}"
        for each in told
        for hole in each.get("vulns", [])
    ]
    if not found:
        say(f"pip-audit: no known hole in {len(told) - len(unknown)} packages")
    return found
