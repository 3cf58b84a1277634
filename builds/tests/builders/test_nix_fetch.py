"""A real Nix fetches one part from a real binary cache and builds the others: its progress."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.builders.base import BuildRequest, Source, never
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings, _options, sandbox
from builds.choices import Stage, System, Variant
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.builders.sinks import Memory


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An empty folder for a binary cache, and where it is served."""
    folder = tmp_path / "cache"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def nix(*words: str) -> str:
    command = ["nix", *_options(NixSettings(offline=True)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_bytes_that_are_fetched_and_derivations_that_are_built_are_counted_apart(
    builder: NixBuilder, sink: Memory, tmp_path: Path, cache: tuple[Path, str]
) -> None:
    images = {
        "fetched": "run mkdir $out; run cat $tools/libc.so.6 > $out/a",
        "built": "echo b > $out",
        "demo": NETBOOT,
    }
    flake = Flake(tmp_path / "flake", images, needs={"demo": ["fetched", "built"]}).write()
    pin = builder.pin(Source(flake.ref, attribute("demo")))
    part = f"{pin.flake}#{attribute('fetched')}"
    nix("build", "--no-link", *sandbox(on=False), part)
    fetched = nix("eval", "--raw", f"{part}.outPath")
    folder, url = cache
    nix("copy", "--to", f"file://{folder}?compression=none", fetched)
    nix("store", "delete", fetched)
    weight = sum(file.stat().st_size for file in (folder / "nar").iterdir())
    assert weight > 1_000_000

    options = {"substituters": url, "require-sigs": "false"}
    request = BuildRequest(pin, attribute("demo"), System.X86_64, Variant.NETBOOT, sink, never)
    NixBuilder(NixSettings(options=options)).build(request)

    last = sink.progresses[-1]
    assert (last.done, last.expected, last.running) == (2, 2, 0)
    assert last.bytes_done == last.bytes_expected
    assert weight <= last.bytes_done < weight + 10_000, "the archive, and what describes it"
    assert sink.stages == [Stage.EVALUATE, Stage.BUILD]
