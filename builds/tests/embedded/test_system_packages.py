"""What is done about missing system packages; a script stands for apt, which others use here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builds.tests.embedded.starting import ROOT, environment

ABSENT = ("nix", "nix-store", "nix-hash", "qemu-system-x86_64", "qemu-system-aarch64")
APT_CACHE = """shift
for name; do
    printf '%s:\\n  Installed: (none)\\n' "$name"
    case ' KNOWN ' in
        *" $name "*) echo '  Candidate: 1' ;;
        *) echo '  Candidate: (none)' ;;
    esac
done"""
# Only root may install; who is not root is so in a namespace.
AS_ROOT = () if os.geteuid() == 0 else ("unshare", "--map-root-user")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with every program of this machine but those of Nix and QEMU, and apt's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if program.name not in {*ABSENT, "apt-get", "apt-cache"} and not link.exists():
                link.symlink_to(program)
    return folder


def install_script(folder: Path, name: str, text: str) -> None:
    """Put a shell script among the programs."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def apt(programs: Path, tmp_path: Path) -> Callable[[str], list[str]]:
    """Puts an apt-get in place and runs `setup run` with it: the lines, apt's calls behind them."""
    calls = tmp_path / "calls"

    def run(script: str, known: str = "nix-bin qemu-system-x86 qemu-system-arm") -> list[str]:
        install_script(programs, "apt-get", f'echo "$*" >> {calls}\n{script}')
        install_script(
            programs,
            "apt-cache",
            APT_CACHE.replace("KNOWN", known),
        )
        said = setup(programs, tmp_path)
        return [*said, *(f"called {line}" for line in calls.read_text().splitlines())]

    return run


def setup(programs: Path, tmp_path: Path, **settings: str) -> list[str]:
    """The lines of `deploy setup run` with these programs alone on PATH."""
    done = subprocess.run(
        [*AS_ROOT, sys.executable, "-m", "deploy", "setup", "run"],
        cwd=ROOT,
        env=environment(tmp_path / "data", 1, PATH=str(programs), SKIP_SYSTEM="0") | settings,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


INSTALL = "called -q install -y --no-install-recommends nix-bin qemu-system-x86 qemu-system-arm"
MISSING = [
    "portal: no nix (Debian's nix-bin): no image can be built; pages and old releases work",
    (
        "portal: no qemu-system-x86_64 (Debian's qemu-system-x86): "
        "releases for x86_64-linux fail their boot check and are not published"
    ),
    (
        "portal: no qemu-system-aarch64 (Debian's qemu-system-arm): "
        "releases for aarch64-linux fail their boot check and are not published"
    ),
]


def test_missing_packages_are_installed_in_one_call(
    apt: Callable[[str], list[str]], programs: Path
) -> None:
    provide = "".join(f"ln -s /bin/true {programs}/{name}; " for name in ABSENT)

    said = apt(f'case "$2" in install) {provide};; esac')

    assert said == ["portal: system packages: 0 s", INSTALL]


def test_failing_apt_is_one_line_and_what_stays_missing_is_told(
    apt: Callable[[str], list[str]], tmp_path: Path
) -> None:
    said = apt("echo 'Reading…'; echo 'E: The archive burns.'; exit 100")

    log = tmp_path / "data" / "log" / "apt.log"
    assert said == [
        f"portal: apt-get update failed: E: The archive burns. (more in {log})",
        *MISSING,
        INSTALL,
        "called -q update",
    ]
    assert "Reading…" in log.read_text()


def test_old_lists_are_renewed_once(apt: Callable[[str], list[str]], tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"

    said = apt(f'case "$2" in update) touch {fresh};; *) test -e {fresh} || exit 100;; esac')

    assert [line for line in said if line.startswith("called")] == [
        INSTALL,
        "called -q update",
        INSTALL,
    ]


def test_package_that_the_archive_lacks_keeps_no_other_from_being_installed(
    apt: Callable[..., list[str]],
) -> None:
    said = apt("exit 0", known="nix-bin qemu-system-x86")

    assert "portal: this system's archive has no package qemu-system-arm" in said
    assert "called -q install -y --no-install-recommends nix-bin qemu-system-x86" in said


def test_apt_in_use_is_waited_for_with_one_line(
    apt: Callable[[str], list[str]], tmp_path: Path
) -> None:
    tries = tmp_path / "tries"
    locked = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt)"

    said = apt(
        f"echo >> {tries}; test $(wc -l < {tries}) -gt 2 || {{ echo '{locked}'; exit 100; }}"
    )

    assert said[0] == "portal: another program is using apt; waits for it to end"
    assert sum("another program" in line for line in said) == 1
    assert [line for line in said if line.startswith("called")] == [INSTALL] * 3


ANNOUNCE = """
import sys
from deploy import needs, setup
sys.exit(0 if setup.announce(needs.RUN) else 1)
"""


def announce(programs: Path, tmp_path: Path, **settings: str) -> list[str]:
    """What is said before anything is installed."""
    done = subprocess.run(
        [*AS_ROOT, sys.executable, "-c", ANNOUNCE],
        cwd=ROOT,
        env=environment(tmp_path, 1, PATH=str(programs)) | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def test_what_will_be_installed_is_said_first(programs: Path, tmp_path: Path) -> None:
    install_script(programs, "apt-get", "exit 1")

    assert announce(programs, tmp_path, SKIP_SYSTEM="") == [
        (
            "portal: will install with apt, for building: nix-bin; for boot checks: "
            "qemu-system-x86 qemu-system-arm (SKIP_SYSTEM=1 leaves the system alone)"
        )
    ]


def test_skip_system_tells_what_is_missing_and_what_that_costs(
    programs: Path, tmp_path: Path
) -> None:
    install_script(programs, "apt-get", "exit 1")

    said = announce(programs, tmp_path, SKIP_SYSTEM="1")

    assert said == [*MISSING, "portal: goes on with what is there: SKIP_SYSTEM is set"]


def test_other_system_than_debian_tells_what_is_missing(programs: Path, tmp_path: Path) -> None:
    said = announce(programs, tmp_path, SKIP_SYSTEM="")

    assert said == [
        *MISSING,
        "portal: goes on with what is there: this is neither Debian nor Ubuntu",
    ]
