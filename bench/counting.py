"""What counting costs a download: `python -m bench.counting`; both ways in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

DAY = date(2026, 11, 22)
NOTES = 200_000
KEYS = 10_000


def main() -> None:
    """Print nanoseconds a note, and milliseconds a flush of 10,000 counts and a read of them."""
    from builds import tally
    from deploy.embedded_redis import program

    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        words = [program(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
        server = subprocess.Popen([*words, "--dir", folder], stdout=subprocess.DEVNULL)
        while not socket.exists():
            time.sleep(0.02)
        try:
            _measure(tally, f"redis+socket://{socket}")
        finally:
            server.kill()
            server.wait()


def _measure(tally: object, url: str) -> None:
    counted = tally.Tally(url, seconds=3600)  # type: ignore[attr-defined]
    runs = []
    for _ in range(5):
        begun = time.perf_counter()
        for number in range(NOTES):
            counted.note(number % 100, DAY, begun=True, size=1)
        runs.append((time.perf_counter() - begun) / NOTES)
    sys.stdout.write(f"note: {statistics.median(runs) * 1e9:.0f} ns\n")
    counted.flush()
    for number in range(KEYS):
        counted.note(number, DAY, begun=True, size=1)
    begun = time.perf_counter()
    assert counted.flush()
    sys.stdout.write(f"flush of {KEYS} counts: {(time.perf_counter() - begun) * 1e3:.0f} ms\n")
    begun = time.perf_counter()
    [(_, counts)] = tally.taken(url)  # type: ignore[attr-defined]
    took = (time.perf_counter() - begun) * 1e3
    sys.stdout.write(f"read of {len(counts)} counts: {took:.0f} ms\n")


if __name__ == "__main__":
    main()
