"""Storing an artifact of 1 GB, hashed on the way, against programs that do one half of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.turns import Cost, Row, at_least, in_turns, told
from builds.storage import BucketStorage, FolderStorage
from builds.storage.bucket import PART_SIZE
from builds.tests import s3

GOAL = 0.9
MIB = 2**20


def folder_storage(folder: Path, size: int, rounds: int) -> list[Row]:
    """Into a folder, down to the disk; `cp` leaves that to the kernel, so it is timed both ways."""
    source, copy = _random(folder / "artifact", size), folder / "copy"
    storage = FolderStorage(location=folder / "storage")

    def ours() -> None:
        storage.put_once("bench/artifact", source)
        storage.delete("bench/artifact")

    def copied(*more: str) -> None:
        subprocess.run(["cp", source, copy], check=True)
        if more:
            subprocess.run([*more, copy], check=True)
        copy.unlink()

    costs = in_turns(
        {
            "sha256sum": lambda: subprocess.run(
                ["sha256sum", source], check=True, stdout=subprocess.DEVNULL
            ),
            "cp": copied,
            "cp and sync": lambda: copied("sync"),
            "the portal": ours,
        },
        rounds,
    )
    slower = [
        max(one.wall, other.wall)
        for one, other in zip(costs["sha256sum"], costs["cp"], strict=True)
    ]
    mine = [cost.wall for cost in costs["the portal"]]
    said = f"storing {size // MIB:,} MiB in a folder"
    return [
        _row(f"{said}: speed over the slower of `sha256sum` and `cp`", slower, mine, GOAL),
        _row("  over `sha256sum`", _walls(costs["sha256sum"]), mine),
        _row("  over `cp`, which leaves the disk for later", _walls(costs["cp"]), mine),
        _row("  over `cp` and `sync` of the copy", _walls(costs["cp and sync"]), mine),
        Row(
            "MiB a second into a folder",
            *told([size / MIB / each for each in mine], "{:,.0f}".format),
        ),
    ]


def bucket_storage(folder: Path, size: int, rounds: int) -> list[Row]:
    """Into a bucket of a real S3 server on this machine, against boto3's own multipart upload."""
    from boto3.s3.transfer import TransferConfig

    source = _random(folder / "object", size)
    place = folder / "s3"
    place.mkdir()
    how = TransferConfig(multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE)
    with s3.serving(place, volumes=60) as server:  # what is deleted keeps its room for a while
        server.make_bucket("bench")
        storage = BucketStorage(
            bucket_name="bench",
            endpoint_url=server.address,
            region_name="us-east-1",
            access_key=s3.ACCESS_KEY,
            secret_key=s3.SECRET_KEY,
        )
        client: Any = storage.connection.meta.client

        def bare() -> None:
            client.upload_file(str(source), "bench", "bare", Config=how)
            storage.delete("bare")

        def ours() -> None:
            storage.put_once("ours", source)
            storage.delete("ours")

        costs = in_turns({"upload_file": bare, "the portal": ours}, rounds)
    mine = _walls(costs["the portal"])
    said = f"storing {size // MIB:,} MiB in S3"
    return [
        _row(f"{said}: speed over boto3's `upload_file`", _walls(costs["upload_file"]), mine, GOAL),
        Row("MiB a second into S3", *told([size / MIB / each for each in mine], "{:,.0f}".format)),
    ]


def _row(what: str, theirs: Sequence[float], ours: Sequence[float], goal: float = 0) -> Row:
    """Speed as a ratio: their seconds over ours."""
    speeds = [their / our for their, our in zip(theirs, ours, strict=True)]
    value, spread = told(speeds, "{:.2f}".format)
    if not goal:
        return Row(what, value, spread)
    return Row(what, value, spread, f"> {goal}", at_least(speeds, goal))


def _walls(costs: Sequence[Cost]) -> list[float]:
    return [cost.wall for cost in costs]


def _random(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    os.sync()
    return path
