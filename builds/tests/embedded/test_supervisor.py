"""The supervisor with small programs: some fall, some are deaf, some run away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builds.tests.embedded.starting import ROOT

# Starts the services given as shell scripts, and says when they run.
PROGRAM = """
import os, sys
from pathlib import Path
from deploy.child import Service
from deploy.supervisor import Stopped, Supervisor
from deploy.terminal import Refused, say

with Supervisor(Path("."), os.environ) as supervisor:
    try:
        for script in sys.argv[2:]:
            command = ("sh", "-c", script)
            supervisor.start(Service("small", command, **eval(sys.argv[1])))
        while True:
            supervisor.turn()
    except Stopped:
        say("stops")
    except Refused as refusal:
        say(str(refusal))
"""
Supervise = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def supervise(tmp_path: Path) -> Supervise:
    """Starts a supervisor over shell scripts, which find this test's folder in $FOLDER."""

    def start(*scripts: str, **traits: bool) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, repr(traits), *scripts],
            cwd=ROOT,
            env=os.environ | {"FOLDER": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


def wait_for(path: Path) -> int:
    """The process id that a script has written to a file."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.05)
    return int(path.read_text())


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_lines_are_printed_behind_the_name_of_their_program(supervise: Supervise) -> None:
    done = supervise("echo one; printf two; exit 3", restarts=False)
    assert done.stdout is not None
    first = [done.stdout.readline(), done.stdout.readline()]
    done.send_signal(signal.SIGINT)

    rest, _ = done.communicate(timeout=10)

    assert first == ["small  | one\n", "small  | two\n"]
    assert rest == "portal: stops\n"


def test_program_that_falls_again_and_again_ends_all_with_one_line(
    supervise: Supervise, tmp_path: Path
) -> None:
    done = supervise("exit 3", "echo $$ > $FOLDER/other; exec sleep 100")
    other = wait_for(tmp_path / "other")

    said, _ = done.communicate(timeout=60)

    pauses = [line for line in said.splitlines() if "starts again" in line]
    assert pauses == [
        f"portal: small ended with code 3; it starts again in {pause} s" for pause in (1, 2, 4, 8)
    ]
    assert said.endswith("portal: small ended with code 3, 5 times within a minute\n")
    assert is_gone(other)


def test_program_deaf_to_sigterm_is_killed_in_time(supervise: Supervise, tmp_path: Path) -> None:
    done = supervise("trap '' TERM; echo $$ > $FOLDER/deaf; while :; do sleep 1; done")
    deaf = wait_for(tmp_path / "deaf")
    started = time.monotonic()

    done.send_signal(signal.SIGTERM)
    done.communicate(timeout=15)

    assert time.monotonic() - started < 10
    assert is_gone(deaf)


def test_second_ctrl_c_waits_no_longer(supervise: Supervise, tmp_path: Path) -> None:
    done = supervise("trap '' TERM; echo $$ > $FOLDER/deaf; while :; do sleep 1; done")
    deaf = wait_for(tmp_path / "deaf")
    started = time.monotonic()

    done.send_signal(signal.SIGINT)
    time.sleep(0.5)
    done.send_signal(signal.SIGINT)
    done.communicate(timeout=15)

    assert time.monotonic() - started < 5
    assert is_gone(deaf)


def test_program_that_ran_away_into_a_session_of_its_own_is_found(
    supervise: Supervise, tmp_path: Path
) -> None:
    runaway = "setsid sh -c 'trap \"\" TERM HUP; echo $$ > $FOLDER/away; exec sleep 100' &"
    done = supervise(f"{runaway} exec sleep 100")
    away = wait_for(tmp_path / "away")

    done.send_signal(signal.SIGINT)
    done.communicate(timeout=15)

    assert is_gone(away)


def test_patient_program_ends_what_it_is_at(supervise: Supervise, tmp_path: Path) -> None:
    script = "trap 'sleep 8; echo done > $FOLDER/result; exit' INT; echo $$ > $FOLDER/pid; "
    done = supervise(f"{script} while :; do sleep 0.1; done", restarts=False, is_patient=True)
    wait_for(tmp_path / "pid")

    done.send_signal(signal.SIGINT)
    said, _ = done.communicate(timeout=30)

    assert (tmp_path / "result").read_text() == "done\n"
    assert "small comes to a safe end first; Ctrl-C again does not wait" in said


def test_orphans_that_end_by_themselves_leave_no_zombies(
    supervise: Supervise, tmp_path: Path
) -> None:
    done = supervise("(sleep 0.2 & echo $! > $FOLDER/orphan); exec sleep 100")
    orphan = wait_for(tmp_path / "orphan")
    deadline = time.monotonic() + 10
    while Path(f"/proc/{orphan}").exists():
        assert time.monotonic() < deadline, "it is still in the process table"
        time.sleep(0.1)
    done.send_signal(signal.SIGINT)
    done.communicate(timeout=10)
