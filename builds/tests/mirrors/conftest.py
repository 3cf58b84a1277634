"""A served copy of the storage that can be broken in many ways, and keys to sign with."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self

import pytest
from django.conf import LazySettings

from builds.choices import Role
from builds.models import Channel, Head, Release
from builds.pipeline import documents, naming
from builds.storage import artifacts
from builds.tests.downloads.conftest import ready_release, stored_release
from builds.tests.factories import publish_held
from builds.tests.models.rows import NOW, channel
from builds.tests.tarballs import tarball

LOOPBACK = (ip_network("127.0.0.0/8"),)
SYSTEM = "x86_64-linux"


@dataclass
class Tree:
    """A web server over a folder; `broken` answers instead for paths that match."""

    root: Path
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    broken: dict[str, Callable[[BaseHTTPRequestHandler, Path], None]] = field(default_factory=dict)
    url: str = ""

    @classmethod
    @contextmanager
    def open(cls, root: Path) -> Iterator[Self]:
        """Serve until the end of the block."""
        tree = cls(root)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tree.answer(self)

            def do_HEAD(self) -> None:
                tree.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Readers go away on purpose here."""

        with Server(("127.0.0.1", 0), Handler) as server:
            tree.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield tree
            finally:
                server.shutdown()
                thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """As a plain web server does, with ranges."""
        self.asked.append((handler.command, handler.path, handler.headers.get("Range", "")))
        path = self.root / handler.path.lstrip("/")
        for pattern, broken in self.broken.items():
            if re.search(pattern, handler.path):
                broken(handler, path)
                return
        serve(handler, path)

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.root / key

    def files(self) -> list[str]:
        """The keys of all files."""
        return [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]

    def fetched(self, name: str) -> list[str]:
        """The ranges of the requests for a file."""
        return [
            rng for verb, path, rng in self.asked if verb == "GET" and path.endswith(f"/{name}")
        ]


def serve(handler: BaseHTTPRequestHandler, path: Path, most: int | None = None) -> None:
    """A file, from where it was asked for; `most` bytes of it where that is given."""
    if not path.is_file():
        refuse(404)(handler, path)
        return
    data = path.read_bytes()
    start = int(re.sub(r"\D", "", handler.headers.get("Range", "")) or 0)
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(data) - start))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(data[start : None if most is None else start + most])


def refuse(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler, Path], None]:
    """An answer without a body."""

    def answer(handler: BaseHTTPRequestHandler, _path: Path) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


def drip(handler: BaseHTTPRequestHandler, path: Path) -> None:
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(path.stat().st_size))
    handler.end_headers()
    for byte in path.read_bytes():
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


@dataclass(frozen=True)
class Keys:
    """An ed25519 key, made by ssh-keygen."""

    path: Path
    who: str

    @classmethod
    def make(cls, folder: Path, who: str) -> Self:
        """A new one."""
        path = folder / f"key-{who.partition('@')[0]}"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", str(path)]
        subprocess.run(command, check=True)
        return cls(path, who)

    @property
    def allowed(self) -> str:
        """The line of an allowed_signers file."""
        return f"{self.who} {self.path.with_suffix('.pub').read_text()}"

    def signature(self, data: bytes, namespace: str = "nixos-images") -> bytes:
        """As the signer makes it."""
        paper = self.path.with_name("paper")
        paper.write_bytes(data)
        paper.with_suffix(".sig").unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.path), "-n", namespace]
        subprocess.run([*command, str(paper)], check=True, capture_output=True)
        return paper.with_suffix(".sig").read_bytes()

    def sign(self, release: Release, namespace: str = "nixos-images") -> None:
        """Let this key have signed a release, in place of the signer's."""
        signed = {}
        for name in naming.unsigned_names(release.system):
            data = artifacts().read(release.key(name)) or b""
            signed[f"{name}.sig"] = self.signature(data, namespace)
        for name, signature in signed.items():
            artifacts().replace(release.key(name), signature)
        digests = {name: documents.digest(signature) for name, signature in signed.items()}
        assert release.note_signed_again(digests, self.who)


def hostile_release(role: Role) -> Release:
    """A published release with a tarball that leads out, under this role: its papers fit it."""
    release = ready_release(channel(), "1.0")
    data = tarball(b"* * * * * root id\n", "kexec/../../etc/cron.d/x")
    file = release.artifacts.get(role=Role.TARBALL)
    artifacts().replace(file.key, data)
    file.role, file.size, file.sha256 = role, len(data), documents.digest(data)
    file.save()
    publish_held(release, NOW)
    assert release.is_published, release.reason
    return release


def unsign(release: Release, *names: str) -> None:
    """Take away the signatures of these papers of a release, from storage and row."""
    gone = {each for name in names for each in naming.signature_names(name)}
    for name in gone:
        artifacts().delete(release.key(name))
    release.papers = {name: sha for name, sha in release.papers.items() if name not in gone}
    release.save(update_fields=["papers"])


@pytest.fixture(autouse=True)
def _outward(settings: LazySettings, tmp_path: Path) -> None:
    """Loopback may be reached; leases need no beats, which have connections of their own."""
    settings.MIRROR_NETWORKS = LOOPBACK
    settings.DATA_DIR = tmp_path / "data"
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 3600, 1800


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.make(tmp_path, "release@first.example")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """An empty copy; `copy_to` fills it."""
    with Tree.open(tmp_path / "tree") as opened:
        yield opened


def copy_to(tree: Tree) -> None:
    """What `rclone sync` or rsync does."""
    shutil.rmtree(tree.root, ignore_errors=True)
    for file in artifacts().walk(""):
        path = tree.path(file.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifacts().read(file.key) or b"")


def become_another_portal() -> None:
    """Forget all releases and files: this is the second portal now."""
    Head.objects.all().delete()
    Release.objects.all().delete()
    Channel.objects.all().delete()
    for file in list(artifacts().walk("")):
        artifacts().delete(file.key)


@pytest.fixture
def first(tree: Tree) -> Tree:
    """A copy of a portal with one release; this process is another portal now."""
    stored_release(channel(), "1.0")
    copy_to(tree)
    become_another_portal()
    return tree
