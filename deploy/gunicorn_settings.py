"""gunicorn's settings; `make run` adds the address to bind to."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

from gunicorn.http import wsgi

from deploy.child import die_with_parent
from deploy.guards import ROOT

# It writes a header Server in any case; who asks need not learn which server's holes to try.
wsgi.SERVER = "nixos-images"

worker_class = "deploy.patient_worker.PatientWorker"
workers = 2
threads = 256
# Most of them cost no thread; but each a socket, and some a file or a database's files too.
worker_connections = max(min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 3), threads + 1)
keepalive = 5
timeout = 60
graceful_timeout = 4  # `make run` kills what has not ended after 6 s
loglevel = "warning"
logger_class = "deploy.access_log.AccessLogger"
control_socket_disable = True
# Workers say that they live by touching a file; on a slow disk that would look like a hang.
# gunicorn makes a name of its own there.
_MEMORY = "/dev/shm"  # noqa: S108  # nosec B108
worker_tmp_dir = _MEMORY if Path(_MEMORY).is_dir() else None


def on_starting(_server: object) -> None:
    """Give this start's workers a folder of its own to count in, and remove those of dead ones.

    The counts are then those since the start: Prometheus knows what a start is.
    """
    _raise_open_files()
    data = os.environ.get("DATA_DIR", "").strip() or str(ROOT / "var")
    folder = Path(data) / "run" / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if not _lives(old.name):
            shutil.rmtree(old, ignore_errors=True)
    own = folder / str(os.getpid())
    own.mkdir(exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own)
    os.environ["GUNICORN_ARBITER"] = str(os.getpid())


def post_fork(_server: object, _worker: object) -> None:
    """Let a worker die with its arbiter even when that is killed with requests on the way."""
    die_with_parent(os.getppid(), signal.SIGKILL)


def child_exit(_server: object, worker: Any) -> None:
    """Forget what a worker that has ended was in the middle of; what it has done stays counted."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - after the above

    mark_process_dead(worker.pid)


def on_exit(_server: object) -> None:
    """Leave no counts behind."""
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)


def _raise_open_files() -> None:
    """Let each connection have a file, too; the usual soft limit of 1,024 has no other reason than
    programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, min(3 * worker_connections, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _lives(pid: str) -> bool:
    with contextlib.suppress(ValueError, ProcessLookupError):
        os.kill(int(pid), 0)
        return True
    return False
