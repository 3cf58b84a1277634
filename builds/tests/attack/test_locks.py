"""What is installed has the hashes that deploy/*.lock say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import lock
from deploy.guards import ROOT


def test_locks_fit_the_requirements() -> None:
    assert [*lock.faults(lock.RUN), *lock.faults(lock.DEV)] == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda text: text.replace("\ndjango==", "\ndjango-x=="), "has no django "),
        (lambda text: text.replace("\ngunicorn==", "\ngunicorn==1."), "has no gunicorn "),
        (lambda text: f"--index-url https://example.org\n{text}", "names a host"),
        (lambda text: text.split("    --hash")[0].rstrip(" \\\n") + "\n", "has no hash"),
    ],
)
def test_lock_that_does_not_fit_is_told(
    change: object, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy").mkdir()
    for name in (lock.RUN, lock.DEV):
        shutil.copy(ROOT / name, tmp_path)
        shutil.copy(lock.path_of(name), tmp_path / "deploy")
    changed = tmp_path / "deploy" / "requirements.lock"
    changed.write_text(change(changed.read_text()))  # type: ignore[operator]
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    assert any(fault in each for each in lock.faults(lock.RUN))


def test_set_up_installs_nothing_without_a_hash(tmp_path: Path) -> None:
    """pip itself, as the set-up calls it: a file with another digest is not installed."""
    forged = tmp_path / "requirements.lock"
    forged.write_text(f"qrcode==8.2 --hash=sha256:{'0' * 64}\n")
    made = tmp_path / "qrcode-8.2-py3-none-any.whl"
    made.write_bytes(b"PK\5\6" + bytes(18))
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(tmp_path)]
    command += [
        "--require-hashes",
        "--no-deps",
        "--target",
        str(tmp_path / "to"),
        "-r",
        str(forged),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "--require-hashes" in (ROOT / "deploy" / "venv.py").read_text()
