"""gunicorn's settings; `make run` adds the address to bind to."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from deploy.child import die_with_parent

worker_class = "gthread"
workers = 2
threads = 256
keepalive = 5
timeout = 60
graceful_timeout = 4  # `make run` kills what has not ended after 6 s
loglevel = "warning"
control_socket_disable = True
# Workers say that they live by touching a file; on a slow disk that would look like a hang.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes a name of its own


def post_fork(server: object, worker: object) -> None:
    """Let a worker die with its arbiter even when that is killed with requests on the way."""
    die_with_parent(os.getppid(), signal.SIGKILL)
