"""A file of 1 GB from the embedded server and from nginx, whole and in ranges, alone and by 50."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench import stack
from bench.storing import MIB
from bench.turns import Row, at_least, in_turns, ratios, told, verdict
from bench.watchers import resident
from builds.storage import artifacts
from builds.tests.models.rows import artifact, channel, published
from builds.tests.ports import free_port

GOAL = 0.9
MEMORY = 20.0  # MiB
READERS = 50
PART = 64 * MIB
Span = tuple[int, int]  # start and length in bytes
_NGINX = """
{user} daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def downloading(folder: Path, size: int, rounds: int) -> list[Row]:
    """Both send from the page cache; 50 readers take their bytes in one process of their own."""
    file = _file(size)
    with stack.web(folder) as (ours, pid), _nginx(folder) as theirs:
        both = {"nginx": Reader(theirs, file, size), "the portal": Reader(ours, file, size)}
        ranges = [(start, min(PART, size - start)) for start in range(0, size, PART)]
        rows = [
            _row(f"{size // MIB:,} MiB, whole", _speeds(both, [[(0, size)]], rounds)),
            _row(
                f"ranges of {PART // MIB} MiB, one after another", _speeds(both, [ranges], rounds)
            ),
        ]
        eighth = size // 8
        many = [[(eighth * (number % 8), eighth)] for number in range(READERS)]
        _speeds(both, many[:8], 1)  # threads that are there already are no news
        before = resident(pid)
        with _peak(pid) as peak:
            speeds, walls = _speeds_and_walls(both, many, rounds)
        rows.append(_row(f"{READERS} at once, each a range of {eighth // MIB} MiB", speeds))
        rates = [READERS * eighth / MIB / each for each in walls]
        rows.append(Row(f"MiB a second to {READERS} readers", *told(rates, "{:,.0f}".format)))
        more = (peak() - before) / 1024
        rows.append(
            Row(
                f"  memory of its processes more while {READERS} are served",
                f"{more:+.1f} MiB",
                "",
                f"< {MEMORY:.0f} MiB",
                verdict([more], MEMORY),
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads one file of one server."""

    url: str
    path: str
    size: int

    def read_at_once(self, spans: list[list[Span]]) -> None:
        """Each list over a connection of its own, all at the same time."""
        with ThreadPoolExecutor(len(spans)) as readers:
            list(readers.map(self.read, spans))

    def read(self, spans: list[Span]) -> None:
        """Take these spans one after another, into one buffer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        buffer = memoryview(bytearray(MIB))
        try:
            for start, length in spans:
                part = {"Range": f"bytes={start}-{start + length - 1}"}
                connection.request("GET", self.path, headers=part if length < self.size else {})
                answer = connection.getresponse()
                assert answer.status == (206 if length < self.size else 200), answer.status
                came = 0
                while count := answer.readinto(buffer):
                    came += count
                assert came == length, f"{came} of {length} bytes came"
        finally:
            connection.close()


def _row(what: str, speeds: list[float]) -> Row:
    value, spread = told(speeds, "{:.2f}".format)
    return Row(f"{what}: speed over nginx", value, spread, f"> {GOAL}", at_least(speeds, GOAL))


def _file(size: int) -> str:
    """A published artifact that is one hole: its bytes cost memory, and no disk."""
    release = published(channel("large"), "26.05.1")
    row = artifact(release, "large.iso", size=size, role="iso", variant="iso")
    path = artifacts().local_path(row.key)
    assert path is not None, "the bench has a folder for its files"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(size)
    return f"/{row.key}"


def _speeds(both: dict[str, Reader], spans: list[list[Span]], rounds: int) -> list[float]:
    """Their seconds over ours, for the same spans, by as many readers as there are lists."""
    return _speeds_and_walls(both, spans, rounds)[0]


def _speeds_and_walls(
    both: dict[str, Reader], spans: list[list[Span]], rounds: int
) -> tuple[list[float], list[float]]:
    """The same, and our seconds."""
    ways = {name: partial(each.read_at_once, spans) for name, each in both.items()}
    costs = in_turns(ways, rounds)
    theirs, ours = ([cost.wall for cost in each] for each in costs.values())
    return ratios(theirs, ours), ours


@contextmanager
def _peak(pid: int) -> Iterator[Callable[[], int]]:
    """The most KiB that a server's workers held meanwhile."""
    stop = threading.Event()
    most = 0

    def look() -> None:
        nonlocal most
        while not stop.wait(0.2):
            most = max(most, resident(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most
    finally:
        stop.set()
        thread.join()


@contextmanager
def _nginx(folder: Path) -> Iterator[str]:
    """Debian's nginx over the storage itself."""
    root = artifacts().local_path("")
    place = folder / "bare-nginx"
    place.mkdir()
    port = free_port()
    text = _NGINX.format(user=stack.nginx_user(), folder=place, port=port, root=root)
    (place / "nginx.conf").write_text(text)
    with stack.running((stack.nginx_program(), "-c", str(place / "nginx.conf")), place / "out"):
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 20
        while not stack.status(url, "/"):
            assert time.monotonic() < until, "nginx did not start"
            time.sleep(0.05)
        yield url
    shutil.rmtree(place)
