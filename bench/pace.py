"""`python -m bench.pace URL RATE SECONDS`: reads at a fixed rate, whatever the answers take.

Each request has its time before the run begins, and its latency counts from that time, not from
when a connection was free: a server that stops for a second is seen by all who came in it. Paths
come as lines on standard input, `WEIGHT PATH` each; the answer is one line of JSON. How it goes
is told on standard error, every ten seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONNECTIONS = 256
TELL_EVERY = 10.0  # seconds
PATIENCE = 30.0  # seconds until a request counts as failed
_END = b"\r\n\r\n"


@dataclass
class Told:
    """What came of a run; seconds."""

    asked: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    taken: list[float] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    late: float = 0.0  # the most that this program itself was behind its plan

    def note(self, path: str, seconds: float) -> None:
        """One good answer."""
        self.taken.append(seconds)
        self.slowest[path] = max(seconds, self.slowest.get(path, 0.0))


class Connections:
    """Kept open, as browsers' and proxies' are; a request takes the one that was free last."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._place = (str(address.hostname), address.port or 80)
        self._head = f"Host: {address.netloc}\r\nAccept-Encoding: gzip\r\n\r\n"
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def get(self, path: str) -> int:
        """The status of a GET, after all of its body. Raises OSError, EOFError."""
        async with self._room:
            while self._free:
                pair = self._free.pop()
                if not pair[0].at_eof():
                    break
                pair[1].close()
            else:
                pair = await asyncio.open_connection(*self._place)
            try:
                status, is_kept = await self._ask(path, *pair)
            except BaseException:
                pair[1].close()
                raise
            if is_kept:
                self._free.append(pair)
            else:
                pair[1].close()
            return status

    async def close(self) -> None:
        """Close those that are open."""
        for _, writer in self._free:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _ask(
        self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, bool]:
        writer.write(f"GET {path} HTTP/1.1\r\n{self._head}".encode())
        head = (await reader.readuntil(_END)).lower()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            while length := int(await reader.readline(), 16):
                await reader.readexactly(length + 2)
            await reader.readline()
        elif status not in {204, 304}:
            _, _, after = head.partition(b"content-length:")
            await reader.readexactly(int(after.split(b"\r\n", 1)[0]))
        return status, b"connection: close" not in head


async def paced(url: str, rate: float, seconds: float, mix: dict[str, int]) -> Told:
    """Ask `rate` times a second for `seconds`, for each path as often as its weight says."""
    paths, weights = list(mix), list(mix.values())
    told, connections = Told(), Connections(url)
    chosen = random.Random(1)
    running: set[asyncio.Task[None]] = set()
    begun = time.perf_counter() + 0.5

    async def one(path: str, due: float) -> None:
        try:
            status = await asyncio.wait_for(connections.get(path), PATIENCE)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            told.errors[f"{type(error).__name__} {path}"] += 1
            return
        if status != 200:
            told.errors[f"{status} {path}"] += 1
            return
        told.note(path, time.perf_counter() - due)

    tell_at = begun + TELL_EVERY
    known = 0
    for number in range(round(rate * seconds)):
        due = begun + number / rate
        if due >= tell_at:
            _tell(due - begun, told, known)
            tell_at, known = tell_at + TELL_EVERY, len(told.taken)
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        else:
            told.late = max(told.late, -wait)
        told.asked += 1
        task = asyncio.create_task(one(chosen.choices(paths, weights)[0], due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    await connections.close()
    return told


def _tell(at: float, told: Told, known: int) -> None:
    """A line of the answers since the last one."""
    lately = sorted(told.taken[known:])
    p99 = f"{1000 * lately[int(0.99 * len(lately))]:.0f} ms" if lately else "nothing came"
    said = f"  {at:.0f} s: {told.asked:,} asked, {told.errors.total()} errors, lately p99 {p99}"
    print(said, file=sys.stderr, flush=True)


def main() -> None:
    """Run, and tell."""
    url, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    lines = [line.split() for line in sys.stdin.read().splitlines()]
    mix = {path: int(weight) for weight, path in lines}
    told = asyncio.run(paced(url, rate, seconds, mix))
    print(json.dumps(vars(told)))


if __name__ == "__main__":
    main()
