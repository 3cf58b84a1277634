"""A client that looks whether a guest answers by ssh, and who answers."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from builds import processes

_ANSWERS_WITHIN = 3.0
_BANNER = b"SSH-2.0-"


def banner(port: int) -> str | None:
    """The line with which a server on this machine's loopback greets; None where none does."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), _ANSWERS_WITHIN) as line:
        said = line.makefile("rb").readline(255)
        if said.startswith(_BANNER):
            return said.decode("ascii", "replace").strip()
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command in the guest gave."""

    code: int
    output: str
    errors: str


class SshMissingError(Exception):
    """OpenSSH's client is not installed."""


class SshClient:
    """A client with a key of its own that believes the first host key, and no other after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls, folder: Path) -> Self:
        """A client whose key lies in the folder. Raises SshMissingError."""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "check", "-f"]
        try:
            with processes.running([*command, str(folder / "key")]) as process:
                process.wait(20)
        except FileNotFoundError as missing:
            raise SshMissingError(
                f"{missing} is not installed; install the package openssh-client."
            ) from missing
        return cls(folder)

    @property
    def public_key(self) -> str:
        """The line for authorized_keys."""
        return (self._folder / "key.pub").read_text().strip()

    def knows_host(self) -> bool:
        """Whether it has seen a host key."""
        return (self._folder / "known_hosts").exists()

    def run(self, port: int, command: str, timeout: float = 60) -> Answer:
        """Run a command as root of the guest behind a port; ssh's own failures have code 255."""
        options = {
            "StrictHostKeyChecking": "yes" if self.knows_host() else "accept-new",
            "UserKnownHostsFile": str(self._folder / "known_hosts"),
            "HostKeyAlias": "guest",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "10",
        }
        words = [f"-o{name}={value}" for name, value in options.items()]
        target = ["-i", str(self._folder / "key"), "-p", str(port), "root@127.0.0.1", command]
        output, errors = self._folder / "output", self._folder / "errors"
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            program = ["ssh", "-F", "none", *words, *target]
            with processes.running(program, stdout=stdout, stderr=stderr, grace=1) as process:
                try:
                    code = process.wait(timeout)
                except subprocess.TimeoutExpired:
                    code = 255
        return Answer(code, _text(output), _text(errors))


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace").strip()
