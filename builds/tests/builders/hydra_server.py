"""Stands for a Hydra, which can't be had here: an HTTP server of its shapes of JSON.

The shapes are those of NixOS/hydra's source of 2026-08: Controller/{Build,Job,JobsetEval}.pm,
Base/Controller/ListBuilds.pm, and what Schema/Result says goes into JSON. Like Hydra it answers
`latest-finished` and `/eval/ID/job/JOB` with redirects, and downloads without ranges, unless it
is told to stand behind a front server that knows them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

HASH = "0c7kgpz0f7cqn9d5zzzzzzzzzzzzzzzz"
TIMESTAMP = 1787250600  # 2026-08-20


@dataclass
class Made:
    """One build; `files` are its products' contents by (subtype, name)."""

    number: int
    job: str
    files: dict[tuple[str, str], bytes]
    evaluations: list[int]
    system: str = "x86_64-linux"
    finished: int = 1
    status: int = 0
    nix_name: str = "netboot"
    digests: dict[str, str | None] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As Builds.pm's as_json has it."""
        return {
            "id": self.number,
            "finished": self.finished,
            "timestamp": TIMESTAMP,
            "starttime": TIMESTAMP,
            "stoptime": TIMESTAMP + 60,
            "project": "nixos",
            "jobset": "release-26.05",
            "job": self.job,
            "nixname": self.nix_name,
            "system": self.system,
            "priority": 100,
            "buildstatus": self.status if self.finished else None,
            "releasename": None,
            "drvpath": f"/nix/store/{HASH}-{self.nix_name}.drv",
            "jobsetevals": self.evaluations,
            "buildoutputs": {"out": {"path": f"/nix/store/{HASH}-{self.nix_name}"}},
            "buildproducts": {str(n): self._product(n) for n in range(1, len(self.files) + 1)},
            "buildmetrics": {},
        }

    def _product(self, number: int) -> dict[str, Any]:
        (subtype, name), data = list(self.files.items())[number - 1]
        return {
            "type": "file",
            "subtype": subtype,
            "name": name,
            "filesize": self.sizes.get(name, len(data)),
            "sha256hash": self.digests.get(name, hashlib.sha256(data).hexdigest()),
            "path": f"/nix/store/{HASH}-linux-6.12.57/{name}",
            "defaultpath": "",
        }


@dataclass
class Hydra:
    """A Hydra with builds and evaluations; the switches say how it misbehaves."""

    builds: list[Made] = field(default_factory=list)
    revisions: dict[int, str] = field(default_factory=dict)  # of nixpkgs, by evaluation
    flakes: dict[int, str] = field(default_factory=dict)
    address: str = ""
    knows_ranges: bool = False
    breaks_after: list[int] = field(default_factory=list)  # bytes, of the next downloads in turn
    answers: list[int] = field(default_factory=list)  # statuses, of the next requests in turn
    elsewhere: str = ""  # where downloads redirect to
    pause: float = 0  # seconds between the blocks of a download
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and Range
    gate: threading.Event = field(default_factory=threading.Event)

    def latest(self, job: str) -> Made | None:
        good = [b for b in self.builds if b.job == job and b.finished and b.status == 0]
        return max(good, key=lambda build: build.number, default=None)

    def build(self, number: int) -> Made | None:
        return next((build for build in self.builds if build.number == number), None)

    def evaluation(self, number: int) -> dict[str, Any] | None:
        """As JobsetEvals.pm's json_hint has it; None where there is none."""
        if number not in self.revisions and number not in self.flakes:
            return None
        inputs = {}
        if number in self.revisions:
            inputs["nixpkgs"] = {
                "revision": self.revisions[number],
                "value": None,
                "type": "git",
                "uri": "https://github.com/NixOS/nixpkgs.git",
                "dependency": None,
            }
        return {
            "id": number,
            "timestamp": TIMESTAMP,
            "checkouttime": 3,
            "evaltime": 60,
            "hasnewbuilds": 1,
            "flake": self.flakes.get(number),
            "builds": [build.number for build in self.builds if number in build.evaluations],
            "jobsetevalinputs": inputs,
        }


class Server(ThreadingHTTPServer):
    """A server that stands for one Hydra."""

    hydra: Hydra


class Handler(BaseHTTPRequestHandler):
    """Answers one request; the server knows the Hydra."""

    server: Server

    def do_GET(self) -> None:
        hydra = self.server.hydra
        path = unquote(urlsplit(self.path).path)
        hydra.asked.append((path, self.headers.get("Range", "")))
        if hydra.answers and (status := hydra.answers.pop(0)) != 200:
            self.send_error(status)
            return
        self._answer(hydra, path.strip("/").split("/"))

    def _answer(self, hydra: Hydra, words: list[str]) -> None:
        match words:
            case ["job", "nixos", "release-26.05", job, "latest-finished"]:
                self._redirect(hydra.latest(job))
            case ["eval", number, "job", job]:
                found = (b for b in hydra.builds if b.job == job)
                self._redirect(next((b for b in found if int(number) in b.evaluations), None))
            case ["eval", number]:
                self._json(hydra.evaluation(int(number)))
            case ["build", number]:
                build = hydra.build(int(number))
                self._json(build.record() if build else None)
            case ["build", number, "download", product, _]:
                build = hydra.build(int(number))
                assert build is not None
                self._download(list(build.files.values())[int(product) - 1])
            case _:
                self.send_error(404)

    def _redirect(self, build: Made | None) -> None:
        if build is None:
            self.send_error(404)
            return
        self.send_response(302)
        self.send_header("Location", f"{self.server.hydra.address}/build/{build.number}")
        self.end_headers()

    def _json(self, record: dict[str, Any] | None) -> None:
        if record is None or self.headers.get("Accept") != "application/json":
            self.send_error(404 if record is None else 406)
            return
        data = json.dumps(record).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _download(self, data: bytes) -> None:
        hydra = self.server.hydra
        if hydra.elsewhere:
            self.send_response(302)
            self.send_header("Location", hydra.elsewhere)
            self.end_headers()
            return
        start = 0
        told = self.headers.get("Range", "")
        if hydra.knows_ranges and told:
            start = int(told.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.end_headers()  # like Hydra without a Content-Length
        end = hydra.breaks_after.pop(0) if hydra.breaks_after else len(data)
        with contextlib.suppress(OSError):
            for at in range(start, end, 64 * 1024):
                self.wfile.write(data[at : min(end, at + 64 * 1024)])
                if hydra.pause:
                    hydra.gate.wait(hydra.pause)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Hydra]:
    """A Hydra without builds on a port of loopback."""
    hydra = Hydra()
    server = Server(("127.0.0.1", 0), Handler)
    server.hydra = hydra
    hydra.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hydra
    finally:
        hydra.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
