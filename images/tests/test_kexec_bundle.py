"""A kexec bundle verifies itself, unpacks into a folder of its own, and runs what it brought."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from random import Random

import pytest

HEADER = Path(__file__).parents[1] / "kexec" / "bundle"
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
RUN = """#!/bin/sh
echo "run in $(dirname "$0")"
for word in "$@"; do echo "argument <$word>"; done
exit ${RUN_ENDS:-0}
"""


@pytest.fixture(params=[name for name, call in SHELLS.items() if shutil.which(call[0])])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return SHELLS[request.param]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Made as kexec-bundle.nix makes it, with a payload of a script and some bytes of any kind."""
    payload = packed({"kexec/run": RUN.encode(), "kexec/initrd": Random(1).randbytes(200_000)})
    header = HEADER.read_text()
    header = header.replace("@digest@", hashlib.sha256(payload).hexdigest())
    header = header.replace("@lines@", str(header.count("\n")))
    path = tmp_path / "kexec-bundle-x86_64-linux"
    path.write_bytes(header.encode() + payload)
    path.chmod(0o755)
    return path


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def start(
    shell: list[str], bundle: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    folder = bundle.parent / "temporary"
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [*shell, str(bundle), *arguments],
        env={**os.environ, "TMPDIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def left(bundle: Path) -> list[str]:
    return [path.name for path in (bundle.parent / "temporary").iterdir()]


def test_bundle_runs_what_it_brought_with_its_arguments(shell: list[str], bundle: Path) -> None:
    done = start(shell, bundle, "--append", "a b", "--dry-run", "")
    assert done.stderr == ""
    where, *arguments = done.stdout.splitlines()
    assert where.startswith(f"run in {bundle.parent}/temporary/kexec-bundle.")
    assert arguments == [f"argument <{word}>" for word in ("--append", "a b", "--dry-run", "")]
    assert done.returncode == 0


def test_bundle_starts_by_its_own_name(bundle: Path) -> None:
    assert "run in" in start([], bundle).stdout


def test_nothing_stays_where_nothing_will_boot(shell: list[str], bundle: Path) -> None:
    start(shell, bundle)
    assert left(bundle) == []


def test_failure_of_run_is_the_bundles_own(shell: list[str], bundle: Path) -> None:
    assert start(shell, bundle, RUN_ENDS="3").returncode == 3
    assert left(bundle) == []


@pytest.mark.parametrize("place", [-1, -5000])
def test_changed_bundle_is_refused(shell: list[str], bundle: Path, place: int) -> None:
    content = bytearray(bundle.read_bytes())
    content[place] ^= 1
    bundle.write_bytes(content)
    refused(start(shell, bundle), bundle)


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_bundle_that_was_cut_off_is_refused(shell: list[str], bundle: Path, kept: float) -> None:
    content = bundle.read_bytes()
    payload = len(content) - HEADER.stat().st_size
    bundle.write_bytes(content[: HEADER.stat().st_size + int(payload * kept)])
    refused(start(shell, bundle), bundle)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_script_that_was_cut_off_does_nothing(shell: list[str], bundle: Path, kept: float) -> None:
    bundle.write_bytes(bundle.read_bytes()[: int(HEADER.stat().st_size * kept)])
    done = start(shell, bundle)
    assert "run in" not in done.stdout
    assert left(bundle) == []


def test_bundle_from_a_pipe_asks_for_a_file(shell: list[str], bundle: Path) -> None:
    with bundle.open("rb") as content:
        done = subprocess.run(
            shell, stdin=content, cwd="/", capture_output=True, text=True, check=False
        )
    assert "save this to a file first" in done.stderr
    assert done.returncode == 1


def test_bundle_says_when_no_folder_is_large_enough(shell: list[str], bundle: Path) -> None:
    done = start(shell, bundle, PATH=path_with_df(bundle, "echo header; echo device 9 9 9 9% /"))
    assert "MiB free and lets programs run: say one by TMPDIR=" in done.stderr
    assert done.returncode == 1
    assert left(bundle) == []


def test_bundle_tries_where_df_knows_nothing(shell: list[str], bundle: Path) -> None:
    failing_df = path_with_df(bundle, "echo /: can\\'t find mount point >&2; exit 1")
    assert "run in" in start(shell, bundle, PATH=failing_df).stdout


def path_with_df(bundle: Path, script: str) -> str:
    stubs = bundle.parent / "stubs"
    stubs.mkdir()
    stub = stubs / "df"
    stub.write_text(f"#!/bin/sh\n{script}\n")
    stub.chmod(0o755)
    return f"{stubs}:{os.environ['PATH']}"


def refused(done: subprocess.CompletedProcess[str], bundle: Path) -> None:
    assert "is damaged: its content has the digest" in done.stderr
    assert "nothing was changed" in done.stderr
    assert done.stdout == ""
    assert done.returncode == 1
    assert left(bundle) == []
