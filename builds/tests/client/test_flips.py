"""Single bits that are turned around on the way: the command takes no file of that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from builds.tests.client.conftest import Command
from builds.tests.client.mirror import KERNEL, SYSTEM, allowed_signers, mirror, new_key
from builds.tests.signing.test_tools import flip, meaning

FLIPS = 42
FETCH = ("fetch", "demo", "--system", SYSTEM, "--quiet")


def test_no_flipped_bit_of_file_paper_or_signature_is_accepted(
    client: Command, tmp_path: Path
) -> None:
    key = new_key(tmp_path / "release-key")
    signers = tmp_path / "signers"
    signers.write_text(allowed_signers(key))
    with mirror(tmp_path / "mirror") as portal:
        portal.sign(key)
        portal.vouch(key, datetime.now(UTC))
        papers = [f"SHA256SUMS-{SYSTEM}", f"release-{SYSTEM}.json"]
        files = [portal.release / KERNEL, *(portal.release / name for name in papers)]
        files.append(portal.release.parent / f"timestamp-{SYSTEM}.json")
        files += [Path(f"{file}.sig") for file in files[1:]]
        draw, flipped = Random(5), 0
        while flipped < FLIPS:
            path = files[flipped % len(files)]
            before = flip(path, draw.randrange(path.stat().st_size * 8))
            same = path.suffix == ".sig" and meaning(path.name, before) == meaning(
                path.name, path.read_bytes()
            )
            if not same:
                done = client(portal.url, *FETCH, "--allowed-signers", signers)
                assert done.code != 0, f"{path.name} was accepted: {path.read_bytes()!r}"
                assert not (client.home / KERNEL).exists()
                flipped += 1
            path.write_bytes(before)
        done = client(portal.url, *FETCH, "--allowed-signers", signers)
        assert done.code == 0, done.err


@pytest.mark.parametrize("way", ["beside", "asked"])
def test_flipped_bit_of_a_file_that_is_here_is_noticed(
    client: Command, tmp_path: Path, way: str
) -> None:
    with mirror(tmp_path / "mirror") as portal:
        assert client(portal.url, *FETCH).code == 0
        more = () if way == "beside" else ("--channel", "demo")
        draw, path = Random(6), client.home / KERNEL
        for _ in range(8):
            before = flip(path, draw.randrange(path.stat().st_size * 8))
            assert client(portal.url, "verify", KERNEL, *more).code == 4
            path.write_bytes(before)
        assert client(portal.url, "verify", KERNEL, *more).code == 0
