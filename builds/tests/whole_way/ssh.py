"""A client that lets itself into a guest, and notices when it meets another one."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from builds.tests.ports import free_port


@dataclass(frozen=True)
class Ssh:
    """A client with a key of its own that knows one guest's host key."""

    folder: Path
    port: int

    @classmethod
    def make(cls, folder: Path) -> Ssh:
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        return cls(folder, free_port())

    @property
    def public_key(self) -> str:
        return (self.folder / "key.pub").read_text().strip()

    def run(self, command: str, *, given: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run a command; the first host key that it ever sees is the only one from then on."""
        known = self.folder / "known_hosts"
        options = {
            "StrictHostKeyChecking": "yes" if known.exists() else "accept-new",
            "UserKnownHostsFile": str(known),
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "5",
        }
        arguments = [f"-o{name}={value}" for name, value in options.items()]
        target = ["-p", str(self.port), "root@127.0.0.1"]
        done = subprocess.run(
            ["ssh", "-F", "none", "-i", self.folder / "key", *arguments, *target, command],
            input=given,
            capture_output=True,
            check=False,
        )
        output, errors = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, output, errors)

    def get(self, command: str, *, given: bytes = b"") -> str:
        """What a command prints, which must not fail."""
        done = self.run(command, given=given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait_for(self, what: str, seconds: float, *, command: str = "exit 0") -> None:
        """Wait until a command succeeds."""
        deadline = time.monotonic() + seconds
        while (done := self.run(command)).returncode != 0:
            assert time.monotonic() < deadline, f"no {what}: {done.stderr}"
            time.sleep(0.5)
