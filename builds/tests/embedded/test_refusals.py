"""What keeps a portal from starting is said in one line that names the way out."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.tests.embedded.conftest import Start
from builds.tests.embedded.starting import COMMAND, ROOT, run
from builds.tests.ports import free_port

# A mount namespace of its own: what is mounted there is seen by nobody else and ends with it.
_AS_ROOT = () if os.geteuid() == 0 else ("--map-root-user",)
NAMESPACE = ("unshare", *_AS_ROOT, "--mount", "sh", "-ec")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_second_start_says_where_the_first_one_runs_and_is_harmless(start: Start) -> None:
    portal = start()
    portal.wait_until_up()

    code, said = run(portal.port, portal.data_dir)

    url = f"http://127.0.0.1:{portal.port}"
    assert said == f"portal: already running at {url} (pid {portal.process.pid})\n"
    assert code == 0
    assert portal.status_of("/healthz") == 200


def test_second_start_at_another_port_fails_and_is_harmless(start: Start) -> None:
    portal = start()
    portal.wait_until_up()

    code, said = run(free_port(), portal.data_dir)

    assert said.startswith("portal: already running at ")
    assert code == 1
    assert portal.status_of("/healthz") == 200


def test_port_in_use_is_one_line_with_the_way_out(taken_port: int, tmp_path: Path) -> None:
    code, said = run(taken_port, tmp_path)

    assert said == (
        f"portal: port {taken_port} is in use by another program; "
        f"choose another: PORT={taken_port + 1} make run\n"
    )
    assert code == 1


@pytest.mark.parametrize("port", ["web", "0", "65536", "-1", "80 80"])
def test_port_that_is_none_is_one_line(port: str, tmp_path: Path) -> None:
    code, said = run(1, tmp_path, PORT=port)

    assert said == f"portal: setting PORT: wants a number from 1 to 65535, not {port!r}\n"
    assert code == 1


def test_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    code, said = run(8000, tmp_path, BIND="192.0.2.1")

    assert said == "portal: can't listen at 192.0.2.1:8000: Cannot assign requested address\n"
    assert code == 1


def test_relative_data_folder_is_one_line() -> None:
    code, said = run(8000, "some/folder")

    assert said == "portal: setting DATA_DIR: wants an absolute path, not 'some/folder'\n"
    assert code == 1


def test_read_only_data_folder_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o ro none {tmp_path} && exec "$@"'

    code, said = run(8000, tmp_path, *NAMESPACE, mount, "sh")

    assert said == (
        f"portal: {tmp_path} is not writable (Read-only file system); "
        "choose another folder by DATA_DIR=/some/folder\n"
    )
    assert code == 1


def test_read_only_clone_is_one_line_with_the_way_out() -> None:
    read_only = f"mount --bind {ROOT} {ROOT} && mount -o remount,bind,ro {ROOT} && cd {ROOT}"
    mount = f'{read_only} && exec "$@"'

    code, said = run(8000, "", *NAMESPACE, mount, "sh")

    assert "Read-only file system" in said
    assert said.endswith("choose another folder by DATA_DIR=/some/folder\n")
    assert said.count("\n") == 1
    assert code == 1


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size=100m none {tmp_path} && exec "$@"'

    code, said = run(8000, tmp_path, *NAMESPACE, mount, "sh")

    assert said == (
        f"portal: the disk of {tmp_path} is full: 104 MB are free, 500 MB are the least; "
        "make room, or choose another folder by DATA_DIR=/some/folder\n"
    )
    assert code == 1


def test_disk_that_is_nearly_full_is_told_and_no_hindrance(tmp_path: Path, taken_port: int) -> None:
    mount = f'mount -t tmpfs -o size=2g none {tmp_path} && exec "$@"'

    _, said = run(taken_port, tmp_path, *NAMESPACE, mount, "sh")

    assert f"portal: only 2.1 GB are free in {tmp_path}" in said
    assert f"port {taken_port} is in use" in said


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("ALLOWED_HOSTS", "*", "'*' trusts any Host header; name the hosts"),
        ("SECRET_KEY", "short", "wants at least 32 characters"),
        ("REDIS_URL", "localhost:6379", "wants redis://host:port/number, not 'localhost:6379'"),
    ],
)
def test_wrong_setting_is_one_line(data_dir: Path, setting: str, value: str, reason: str) -> None:
    code, said = run(free_port(), data_dir, **{setting: value})

    lines = [line for line in said.splitlines() if not line.startswith("portal: inputs of")]
    assert lines == [f"portal: setting {setting}: {reason}"]
    assert code == 1


def test_unknown_command_names_the_known_ones() -> None:
    done = subprocess.run([*COMMAND, "walk"], capture_output=True, text=True, check=False)

    known = (
        "run, setup, test, lint, lock, audit, crash, fuzz, bench, load, soak, messages, "
        "screenshots, lighthouse"
    )
    assert done.stderr == f"portal: knows {known}, not 'walk'\n"
    assert done.returncode == 2
