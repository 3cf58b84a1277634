"""`make lock`: the whole tree of Python packages, pinned with hashes; and whether it still fits.

The requirements files say what is wanted and why; the locks beside this file say what exactly is
installed, by versions and SHA-256, so that nobody on the way can hand out something else.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy import needs
from deploy.guards import ROOT, data_dir
from deploy.terminal import Refused, say
from deploy.tests import provide

DEV, RUN = "requirements-dev.txt", "requirements.txt"
OLDEST_PYTHON = "3.11"
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*(?P<version>[A-Za-z0-9.!+_-]+)"
)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def path_of(requirements: str) -> Path:
    """The lock that belongs to a requirements file."""
    return ROOT / "deploy" / Path(requirements).with_suffix(".lock").name


def main(arguments: list[str]) -> int:
    """Write both locks anew: one of everything, then that part of it which runs the portal."""
    python = provide("lint", needs.LINT, data_dir())
    for requirements, more in ((DEV, ()), (RUN, ("--constraint", str(path_of(DEV))))):
        command = [
            *(str(Path(python).parent / "uv"), "pip", "compile", "--quiet", "--no-config"),
            *("--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"),
            *("--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
            *("--output-file", str(path_of(requirements)), *more, requirements),
        ]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise Refused(f"{requirements} could not be resolved; the lock is as it was")
        say(f"deploy/{path_of(requirements).name}: {len(list(_locked(requirements)))} packages")
    return check()


def check() -> int:
    """Say where locks and requirements differ; 1 where they do."""
    wrong = [fault for requirements in (RUN, DEV) for fault in faults(requirements)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


def faults(requirements: str) -> Iterator[str]:
    """A sentence for each thing by which a lock does not fit its requirements file."""
    path = path_of(requirements)
    if not path.is_file():
        yield f"deploy/{path.name} is missing: run make lock"
        return
    locked = dict(_locked(requirements))
    for name, version in _pinned(requirements):
        if version not in {each for each, _ in locked.get(name, [])}:
            yield f"deploy/{path.name} has no {name} {version}, as {requirements}: run make lock"
    for name, entries in locked.items():
        for version, text in entries:
            if not _HASH.search(text):
                yield f"deploy/{path.name}: {name} {version} has no hash"
    if "://" in path.read_text():
        yield f"deploy/{path.name} names a host: packages come from wherever pip is told"


def _pinned(requirements: str) -> Iterator[tuple[str, str]]:
    """The names and versions of a requirements file and of those that it includes."""
    for line in (ROOT / requirements).read_text().splitlines():
        if line.startswith("-r "):
            yield from _pinned(line.split()[1])
        elif match := _PIN.match(line):
            yield _plain(match["name"]), match["version"]


def _locked(requirements: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What a lock holds: of each name the versions, each with the text of its entry."""
    found: dict[str, list[tuple[str, str]]] = {}
    text = path_of(requirements).read_text()
    for entry in re.split(r"\n(?=\S)", text):
        if match := _PIN.match(entry):
            found.setdefault(_plain(match["name"]), []).append((match["version"], entry))
    yield from found.items()


def _plain(name: str) -> str:
    """The name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(check())
