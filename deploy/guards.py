"""What must hold before anything is started: a folder, room on the disk, a free port."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.terminal import Refused, say

ROOT = Path(__file__).resolve().parent.parent
LEAST_FREE = 500 * 10**6
LITTLE_FREE = 5 * 10**9
_WAY_OUT = "choose another folder by DATA_DIR=/some/folder"


class AlreadyRunning(Exception):
    """Another portal holds this data folder; `url` is where it answers, `pid` its supervisor."""

    def __init__(self, url: str, pid: str) -> None:
        super().__init__(f"already running at {url} (pid {pid})")
        self.url = url


@dataclass(frozen=True, slots=True)
class Address:
    """Where the web server listens."""

    host: str
    port: int

    @classmethod
    def from_environment(cls) -> Address:
        """BIND and PORT, 127.0.0.1 and 8000 where they are not set."""
        given = os.environ.get("PORT", "").strip() or "8000"
        if not given.isdecimal() or not 0 < int(given) < 2**16:
            raise Refused(f"setting PORT: wants a number from 1 to 65535, not {given!r}")
        return cls(os.environ.get("BIND", "").strip() or "127.0.0.1", int(given))

    @property
    def reachable(self) -> str:
        """The host by which this machine itself reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # nosec B104

    @property
    def netloc(self) -> str:
        """host:port, as gunicorn's --bind takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What a person on this machine opens."""
        return f"http://{Address(self.reachable, self.port).netloc}"

    def refuse_if_taken(self) -> None:
        """Raise Refused where nobody could listen there."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self.host, self.port))
                probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Refused(
                    f"port {self.port} is in use by another program; "
                    f"choose another: PORT={self.port + 1} make run"
                ) from None
            raise Refused(f"can't listen at {self.netloc}: {error.strerror}") from None


def data_dir() -> Path:
    """DATA_DIR, else var/ of the clone; made where it is missing, writable for certain."""
    folder = Path(os.environ.get("DATA_DIR", "").strip() or ROOT / "var").expanduser()
    if not folder.is_absolute():
        raise Refused(f"setting DATA_DIR: wants an absolute path, not {str(folder)!r}")
    try:
        for part in ("log", "run"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        refuse_if_full(folder)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"writable")
    except OSError as error:
        raise Refused(f"{folder} is not writable ({error.strerror}); {_WAY_OUT}") from None
    return folder


def refuse_if_full(folder: Path) -> None:
    """Raise Refused where the disk is as good as full; warn where it soon will be."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise Refused(
            f"the disk of {folder} is full: {free // 10**6} MB are free, "
            f"{LEAST_FREE // 10**6} MB are the least; make room, or {_WAY_OUT}"
        )
    if free < LITTLE_FREE:
        say(f"only {free / 10**9:.1f} GB are free in {folder}; a NixOS release takes several")


def is_writable(folder: Path) -> bool:
    """Whether files can be made there; asks the file system, because root may everything else."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def hold(folder: Path, url: str) -> int:
    """Take the lock of this data folder for as long as this process lives; its descriptor.

    The kernel drops it with the process, however that ends. Raises AlreadyRunning.
    """
    lock = os.open(folder / "run" / "portal.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, other = os.read(lock, 1000).decode().partition(" ")
        os.close(lock)
        raise AlreadyRunning(other.strip() or "another address", pid or "?") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()} {url}\n".encode())
    return lock
