"""The keys are the signer's: no other process of a running portal has them open or in its words."""

from __future__ import annotations

import contextlib
from pathlib import Path

from builds.tests.embedded.conftest import Start

PRIVATE = {"root", "ssh", "minisign", "cms", "ca.key"}
LOOKED_AT = ("gunicorn", "portal worker", "beat", "redis --port")


def test_no_process_but_the_signer_has_a_key(start: Start) -> None:
    portal = start()
    portal.wait_until_up()
    portal.wait_until("signer", lambda: portal.has("manage.py signer"))
    assert portal.status_of("/status/") == 200, "a page that asks the signer"
    keys = portal.data_dir / "keys"
    secrets = {line for path in keys.rglob("*") if path.name in PRIVATE for line in lines_of(path)}
    assert len(secrets) > len(PRIVATE)
    signer = portal.pid_of("manage.py signer")
    others = {pid: command for pid, command in portal.processes().items() if pid != signer}
    assert all(any(word in command for command in others.values()) for word in LOOKED_AT)

    opened = {
        (command, path)
        for pid, command in others.items()
        for path in opened_by(pid)
        if path.startswith(str(keys))
    }
    told = {
        command
        for pid, command in others.items()
        for secret in secrets
        if secret in words_of(pid) + command.encode()
    }
    assert (opened, told) == (set(), set())


def lines_of(path: Path) -> list[bytes]:
    """The lines of a private key that say more than what kind of key it is."""
    lines = path.read_bytes().splitlines()
    return [line for line in lines if len(line) > 20 and not line.startswith((b"-----", b"untr"))]


def opened_by(pid: int) -> list[str]:
    """What a process has open; nothing for one that has ended meanwhile."""
    found = []
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(str(entry.readlink()))
    return found


def words_of(pid: int) -> bytes:
    """The environment that a process was started with."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""
