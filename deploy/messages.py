"""`make messages`: the texts of the pages into the catalogues; `check` finds what is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import needs
from deploy.guards import ROOT, data_dir
from deploy.terminal import Refused, say
from deploy.tests import provide

SOURCES = ("builds", "portal", "templates", "locale", "manage.py", "pyproject.toml")
LEFT_OUT = ("var", "node_modules", ".venv", "tests", "static")
HOW = ("makemessages", "--all", "--no-location", "--no-wrap", "--no-obsolete", "--verbosity=0")
DATE = re.compile(r'^"POT-Creation-Date: .*\n', re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Renew the catalogues: new texts come in empty, those that went go; then compile them."""
    python = provide("lint", needs.LINT, data_dir())
    _extract(python, ROOT)
    _manage(python, ROOT, "compilemessages", "--verbosity=0")
    for catalogue in _catalogues(ROOT):
        say(f"{catalogue.relative_to(ROOT)}: {_statistics(catalogue)}")
    return 0


def check() -> int:
    """Say what a catalogue lacks, beginning from a copy of the sources; 1 where it lacks any."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in SOURCES:
            _copy(ROOT / name, copy / name)
        _extract(sys.executable, copy)
        wrong = [fault for catalogue in _catalogues(copy) for fault in _faults(catalogue, copy)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


def _faults(fresh: Path, copy: Path) -> list[str]:
    name = fresh.relative_to(copy)
    kept = ROOT / name
    found = []
    if DATE.sub("", fresh.read_text()) != DATE.sub("", kept.read_text()):
        found.append(f"{name} is behind the sources: run make messages, translate what is empty")
    statistics = _statistics(fresh)
    if "fuzzy" in statistics or "untranslated" in statistics:
        found.append(f"{name} is not complete: {statistics}")
    compiled = kept.with_suffix(".mo")
    if not compiled.is_file() or compiled.read_bytes() != _compiled(kept):
        found.append(f"{compiled.relative_to(ROOT)} is not made of {name}: run make messages")
    return found


def _extract(python: str, root: Path) -> None:
    ignored = [f"--ignore={name}" for name in LEFT_OUT]
    _manage(python, root, *HOW, *ignored)


def _manage(python: str, root: Path, *words: str) -> None:
    done = subprocess.run(
        [python, str(root / "manage.py"), *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(f"manage.py {words[0]} failed: {done.stderr.strip()}")


def _catalogues(root: Path) -> list[Path]:
    return sorted(root.glob("locale/*/LC_MESSAGES/django.po"))


def _statistics(catalogue: Path) -> str:
    """372 translated messages, 3 fuzzy translations, 2 untranslated messages."""
    command = ["msgfmt", "--statistics", "--check-format", "-o", "/dev/null", str(catalogue)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip()


def _compiled(catalogue: Path) -> bytes:
    command = ["msgfmt", "--check-format", "-o", "-", str(catalogue)]
    return subprocess.run(command, capture_output=True, check=False).stdout


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(check())
