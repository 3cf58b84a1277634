"""From a fresh clone to the first page, and to the first release that has booted: `make run`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench import stack
from bench.turns import Row, verdict
from builds.tests.ports import free_port
from deploy.guards import ROOT

PAGE, BOOTED = 60.0, 150.0
PATIENCE = 900.0
LATEST = "/api/v1/latest/demo/x86_64-linux/"
# What would lead to the portal that is measured from, or to that of somebody else.
OTHERS = (
    *("DATA_DIR", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "NIX_OFFLINE"),
    *("ARGS", "MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV"),
)


def fresh(folder: Path) -> list[Row]:
    """One start: what is committed, a virtual environment and data of its own.

    The system's packages are there already, and pip's cache is left out, as on a new machine.
    """
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if name not in OTHERS}
    environment |= {"PORT": str(port), "SKIP_SYSTEM": "1", "PIP_NO_CACHE_DIR": "1"}
    with (folder / "run.log").open("wb") as log:
        begun = time.monotonic()
        process = subprocess.Popen(
            ["make", "run"],
            cwd=clone,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        page = _seconds(begun, process, lambda: stack.status(url, "/") == 200)
        booted = _seconds(begun, process, lambda: _has_booted(url))
    except AssertionError as error:
        raise AssertionError(f"{error}:\n{(folder / 'run.log').read_text()[-2000:]}") from None
    finally:
        _stop(process)
    return [
        Row(
            "a fresh clone, to its first page",
            f"{page:.0f} s",
            "",
            f"< {PAGE:.0f} s",
            verdict([page], PAGE),
        ),
        Row(
            "a fresh clone, to its first release that has booted",
            f"{booted:.0f} s",
            "",
            f"< {BOOTED:.0f} s",
            verdict([booted], BOOTED),
        ),
    ]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does it; its programs die with their supervisor."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _has_booted(url: str) -> bool:
    """Whether there is a latest release, published because it booted."""
    try:
        code, body = stack.fetch(url, LATEST)
    except OSError:
        return False
    checks = json.loads(body)["checks"] if code == 200 else []
    return any(
        check["name"].startswith("boot-") and check["verdict"] == "passed" for check in checks
    )


def _seconds(begun: float, process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> float:
    print(f"  {time.monotonic() - begun:.0f} s", flush=True)
    while not is_so():
        assert process.poll() is None, "`make run` has ended"
        assert time.monotonic() < begun + PATIENCE, "`make run` took too long"
        time.sleep(0.1)
    return time.monotonic() - begun
