"""A rescue system of chosen programs in a folder, and a web server that misbehaves as told."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

from images.tests.rescue_system import RescueSystem

SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/opt/busybox", "ash"]}
# BusyBox' own, by links to a program that is in no folder of PATH.
TOOLS = (
    *("cat", "date", "dirname", "df", "grep", "id", "ls", "mkdir", "mv", "rm", "sed", "tail", "tr"),
    *("uname", "wc"),
)
USUAL = ("tar", "gzip", "sha256sum")
RUN = """#!/bin/sh
echo "$*" >> /ran
"""
SLEEP = "#!/bin/sh\n"


def tarball(run: str = RUN, **more: str) -> bytes:
    """A kexec tarball whose run leaves a mark, and other members by name."""
    buffer = io.BytesIO()
    names = ("kexec", "ip", "bzImage", "initrd")
    files = {
        "kexec/run": run,
        **{f"kexec/{name}": Random(name).randbytes(20_000).hex() for name in names},
        **more,
    }
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Rescue(RescueSystem):
    """A shell, the plainest tools, and `programs`: those of this machine, or links to BusyBox'."""

    def __init__(self, root: Path, shell: str, *programs: str) -> None:
        self.root = root
        self.shell = SHELLS[shell]
        (root / "opt").mkdir()
        self._install("/bin/busybox")
        (root / "bin/busybox").rename(root / "opt/busybox")
        if shell != "busybox":
            self._install(self.shell[0])
        for tool in (*TOOLS, "sh", *USUAL):
            self.link(tool)
        for program in programs:
            self.add(program)
        self.write("bin/sleep", SLEEP, 0o755)
        self.write("dev/null", "")
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        (root / "root").mkdir()
        (root / "tmp").mkdir()
        self._write_kernel()

    def link(self, tool: str) -> None:
        """Let BusyBox play a program."""
        (self.root / "bin" / tool).symlink_to("/opt/busybox")

    def add(self, program: str) -> None:
        """Bring a program: curl, wget, or `busybox wget` for BusyBox' own."""
        busybox, _, applet = program.rpartition(" ")
        if busybox:
            self.link(applet)
        else:
            self._install(f"/bin/{program}")

    def lacks(self, *programs: str) -> None:
        """Take programs away."""
        for program in programs:
            (self.root / "bin" / program).unlink()

    def pipe(
        self, script: str | bytes, *arguments: str, user: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Pipe a script to the shell, in a mount namespace that has a real /dev/null."""
        mount = f'mount --bind /dev/null "{self.root}/dev/null" && exec chroot "$@"'
        there = (f"--userspec={user}:{user}", str(self.root), *self.shell, "-s", "--")
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", mount, "sh", *there, *arguments],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            input=script if isinstance(script, bytes) else script.encode(),
            capture_output=True,
            timeout=100,
            check=False,
        )
        said = (done.stdout.decode(), done.stderr.decode())
        return subprocess.CompletedProcess(done.args, done.returncode, *said)

    @property
    def ran(self) -> list[str]:
        """The arguments of each run of kexec/run."""
        return self.read("ran").splitlines()

    def files(self, folder: str = "root") -> list[str]:
        """What is in a folder, at any depth."""
        top = self.root / folder
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())


@dataclass
class Shop:
    """What a server gives, by path; `moods` how it misbehaves, one for each answer to come."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    moods: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def shop() -> Iterator[Shop]:
    """Serve on a free port of loopback for the length of the block."""
    given = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, given)

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    given.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield given
    finally:
        server.shutdown()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, given: Shop) -> None:
    wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    given.asked.append((handler.path, handler.headers.get("Range", "")))
    path = handler.path.partition("?")[0]
    data = given.files.get(path)
    mood = given.moods.pop(0) if given.moods else ""
    if mood == "redirect":
        handler.send_response(302)
        handler.send_header("Location", f"{given.url}{path}?signed=yes")
        handler.end_headers()
        return
    if data is None or mood == "missing":
        handler.send_error(404)
        return
    if mood == "altered":
        data = b"".join(
            bytes([data[at] ^ 1]) + data[at + 1 : at + 300] for at in range(0, len(data), 300)
        )
    if mood == "other":
        data = data[:-1]
    start = int(wanted[1]) if wanted and mood != "no ranges" else 0
    if start >= len(data):
        handler.send_error(416)
        return
    _send(handler, data, start, mood)


def _send(handler: BaseHTTPRequestHandler, data: bytes, start: int, mood: str) -> None:
    part = data[start:]
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    if mood != "endless":
        handler.send_header("Content-Length", str(len(part)))
    handler.end_headers()
    try:
        handler.wfile.write(part[: len(part) // 2] if mood == "cut" else part)
        for _ in range(2000 if mood == "endless" else 0):
            handler.wfile.write(bytes(65536))
    except OSError:
        pass
