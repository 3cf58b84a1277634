"""A real PostgreSQL for tests: an empty server on loopback, gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builds.tests.ports import free_port

FAST = ("-c", "fsync=off")  # what is thrown away need not reach the disk


@contextmanager
def serving(options: Sequence[str] = FAST) -> Iterator[str]:
    """The URL of a server, without a database's name; it has the database `postgres`."""
    [*_, binaries] = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    # The server refuses to run as root, and its user must reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="portal-postgresql-"))
    as_user: list[str | Path] = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [*as_user, binaries / "initdb", "-D", data, "-U", "portal", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
    )
    where = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    command = [*as_user, binaries / "postgres", "-D", data, "-p", str(port), *options, *where]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait = ["-h", "127.0.0.1", "-p", str(port), "-U", "portal"]
        for _ in range(100):
            if subprocess.run([binaries / "pg_isready", "-q", *wait], check=False).returncode == 0:
                break
            assert server.poll() is None, (folder / "log").read_text()
        yield f"postgres://portal@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # waits for nobody who is still connected
        server.wait(30)
        shutil.rmtree(folder)
