"""systemd reads the units, and finds little to be afraid of."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

UNITS = settings.BASE_DIR / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
EXPOSURE_MOST = 20  # tenths: 10.0 is a service without any hardening


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units where this clone is what they start."""
    folder = tmp_path_factory.mktemp("units")
    for path in UNITS.glob("nixos-images*"):
        text = path.read_text().replace("/opt/nixos-images/.venv/bin/python", sys.executable)
        text = text.replace("/opt/nixos-images", str(settings.BASE_DIR))
        name = path.name.replace("@.", "@x86_64-linux.")
        (folder / name).write_text(text)
    return folder


def test_systemd_reads_every_unit_without_a_word(units: Path) -> None:
    paths = sorted(units.iterdir())
    assert len(paths) >= 10
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "nixos-images" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str, units: Path) -> None:
    path = units / name.replace("@.", "@x86_64-linux.")
    done = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager"),
            *(f"--threshold={EXPOSURE_MOST}", path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_what_there_is_with_one_word_for_its_data(name: str) -> None:
    text = (UNITS / name).read_text()
    command = re.search(r"^ExecStart=\S+ (.*)$", text, re.MULTILINE)
    assert command is not None
    words = command[1].replace("%%", "%").replace("%i", "x86_64-linux").split()
    if words[0] == "manage.py":
        done = subprocess.run(
            [sys.executable, "manage.py", words[1], "--help"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0
    else:
        assert words[:2] in (["-m", "gunicorn"], ["-m", "celery"])
    assert "DATA_DIR=/var/lib/nixos-images" in text


def test_builds_leave_most_of_the_machine_to_those_who_wait(units: Path) -> None:
    """As the worker has it, so has the daemon that builds for it."""
    weights = re.compile(r"^(?:CPU|IO)Weight=(\d+)$", re.MULTILINE)
    others = ("nixos-images-build@.service", "nixos-images-check.service")
    for name in (*others, "nix-daemon.service.d/nixos-images.conf"):
        assert weights.findall((UNITS / name).read_text()) == ["10", "10"], name
    daemon = units.parent / "nix-daemon.service"
    daemon.write_text("[Service]\nExecStart=/bin/true\n")
    shutil.copytree(UNITS / "nix-daemon.service.d", units.parent / "nix-daemon.service.d")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", daemon],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
