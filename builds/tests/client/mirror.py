"""A portal of files alone: a folder behind the standard library's web server, signed or forged."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHANNEL, SYSTEM, VERSION = "demo", "x86_64-linux", "26.05.20261120.abcdef0"
KERNEL = "bzImage-x86_64-linux"


class Quiet(SimpleHTTPRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


class Mirror:
    """One release of one file; call `write` after each change."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.data = b"a kernel" * 1000
        self.record = self._record()
        self.manifest = {
            **{name: self.record[name] for name in ("channel", "system", "version", "sequence")},
            "artifacts": [
                {"name": a["name"], "size": a["size"], "sha256": a["sha256"]}
                for a in self.record["artifacts"]
            ],
        }
        self.sums = f"{self.record['artifacts'][0]['sha256']}  {KERNEL}\n"

    @property
    def release(self) -> Path:
        return self.folder / "releases" / "download" / CHANNEL / VERSION

    def write(self) -> None:
        api = self.folder / "api" / "v1"
        _write(api / "latest" / CHANNEL / SYSTEM / "index.html", json.dumps(self.record))
        _write(api / "channels" / "index.html", json.dumps({"channels": [self._channel()]}))
        _write(self.release / KERNEL, self.data)
        _write(self.release / f"SHA256SUMS-{SYSTEM}", self.sums)
        _write(self.release / f"release-{SYSTEM}.json", json.dumps(self.manifest))

    def sign(self, key: Path) -> None:
        """Sign what is written, as the portal does, and offer the key."""
        for name in (f"SHA256SUMS-{SYSTEM}", f"release-{SYSTEM}.json"):
            _sign(self.release / name, key)
        _write(self.folder / "keys" / "allowed_signers", allowed_signers(key))
        sums = self.record["sums_url"]
        self.record["signatures"] = {"ssh": f"{sums}.sig"}
        self.write()

    def vouch(
        self, key: Path, made_at: datetime, lasts: timedelta = timedelta(days=14), **other: Any
    ) -> None:
        """Say under a signature that this release is the latest; `other` fields are lies."""
        manifest = (self.release / f"release-{SYSTEM}.json").read_bytes()
        said = {name: self.record[name] for name in ("channel", "system", "version", "sequence")}
        said["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
        times = {"made_at": made_at, "expires_at": made_at + lasts}
        said |= {name: at.strftime("%Y-%m-%dT%H:%M:%SZ") for name, at in times.items()}
        file = self.folder / "releases" / "download" / CHANNEL / f"timestamp-{SYSTEM}.json"
        _write(file, json.dumps(said | other))
        _sign(file, key)

    def _channel(self) -> dict[str, Any]:
        """As the API's channels/ has it."""
        built = {
            "system": SYSTEM,
            "latest_version": VERSION,
            "latest_published_at": self.record["published_at"],
        }
        never = {"system": "aarch64-linux", "latest_version": None, "latest_published_at": None}
        return {"name": CHANNEL, "title": "A small Linux", "systems": [built, never]}

    def _record(self) -> dict[str, Any]:
        folder = f"{self.url}/releases/download/{CHANNEL}"
        artifact = {
            "name": KERNEL,
            "variant": "netboot",
            "role": "kernel",
            "size": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "url": f"{folder}/{KERNEL}",
            "immutable_url": f"{folder}/{VERSION}/{KERNEL}",
        }
        return {
            "channel": CHANNEL,
            "system": SYSTEM,
            "version": VERSION,
            "sequence": 7,
            "published_at": "2026-11-20T03:12:09Z",
            "sums_url": f"{folder}/{VERSION}/SHA256SUMS-{SYSTEM}",
            "manifest_url": f"{folder}/{VERSION}/release-{SYSTEM}.json",
            "signatures": {},
            "artifacts": [artifact],
        }


@contextmanager
def mirror(folder: Path) -> Iterator[Mirror]:
    """Serve one meanwhile."""
    folder.mkdir()
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = Mirror(folder, f"http://127.0.0.1:{server.server_port}")
        made.write()
        yield made
        server.shutdown()


def new_key(path: Path) -> Path:
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", str(path))
    subprocess.run(words, check=True)
    return path


def allowed_signers(key: Path) -> str:
    public = Path(f"{key}.pub").read_text()
    return f'release namespaces="nixos-images" {public}'


def _sign(file: Path, key: Path) -> None:
    Path(f"{file}.sig").unlink(missing_ok=True)
    words = ("ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "nixos-images", file)
    subprocess.run(words, check=True, capture_output=True)


def _write(path: Path, data: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
