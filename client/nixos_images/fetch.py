"""Fetching a file: continued where it broke off, verified, and there under its name whole."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

from nixos_images import web
from nixos_images.failures import Failure, NotVerified
from nixos_images.progress import Progress
from nixos_images.records import Artifact

CHUNK = 1024 * 1024
TRIES = 8
OK, PARTIAL, OUT_OF_RANGE = 200, 206, 416


def fetch(artifact: Artifact, folder: Path, *, quiet: bool = False) -> Path:
    """The file's path; raises NotVerified, and other failures once nothing helps.

    What came so far is kept beside it under the digest: it is continued by the next call, and
    never by a call for another release's file of the same name.
    """
    target = folder / artifact.name
    if (
        target.is_file()
        and target.stat().st_size == artifact.size
        and digest(target) == artifact.sha256
    ):
        return target
    part = folder / f".{artifact.name}.{artifact.sha256[:16]}.part"
    progress = Progress(artifact.name, artifact.size, quiet=quiet)
    try:
        _insist(artifact, part, progress)
    finally:
        progress.end()
    _verify(artifact, part)
    part.replace(target)
    return target


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _insist(artifact: Artifact, part: Path, progress: Progress) -> None:
    """Ask again for what is missing, as long as each try brings something, or a few do not."""
    fruitless = 0
    while _size(part) != artifact.size:
        before = _size(part)
        try:
            _continue(artifact, part, progress)
        except web.Broken as problem:
            fruitless = fruitless + 1 if _size(part) <= before else 1
            if fruitless >= TRIES:
                raise Failure(
                    f"{artifact.name} broke off after {_size(part)} of {artifact.size} bytes: "
                    f"{problem}; the same command continues it"
                ) from None
            time.sleep(problem.pause or min(0.2 * 2**fruitless, 10))


def _continue(artifact: Artifact, part: Path, progress: Progress) -> None:
    """One request: the rest of the file, or all of it where the portal has changed its mind."""
    have = _size(part)
    if have > artifact.size:
        part.unlink()
        have = 0
    wanted = {}
    if have:
        wanted = {"Range": f"bytes={have}-", "If-Range": f'"{artifact.sha256}"'}
    with web.ask(artifact.immutable_url, headers=wanted) as answer:
        if answer.status == PARTIAL:
            _refuse_other_range(answer, have, artifact)
        else:
            _refuse_other_length(answer, artifact)
        with part.open("ab" if answer.status == PARTIAL else "wb") as file:
            _copy(answer, file, artifact.size, progress)


def _copy(answer: Any, file: BinaryIO, total: int, progress: Progress) -> None:
    done = file.tell()
    try:
        while chunk := answer.read(min(CHUNK, total + 1 - done)):
            file.write(chunk)
            done += len(chunk)
            progress.show(done)
            if done > total:
                raise NotVerified(f"more than the {total} bytes come that it should have")
    except web.BROKEN as error:
        raise web.Broken(str(error) or type(error).__name__) from None
    finally:
        file.flush()
        os.fsync(file.fileno())
    if done < total:
        raise web.Broken("the connection ended early")


def _verify(artifact: Artifact, part: Path) -> None:
    """Remove what is not the file, so that the next call begins anew."""
    found = digest(part)
    if found != artifact.sha256:
        part.unlink()
        raise NotVerified(
            f"{artifact.name} is damaged or was changed on its way: its SHA-256 is {found}, it "
            f"should be {artifact.sha256}; nothing was kept"
        )


def _refuse_other_range(answer: Any, have: int, artifact: Artifact) -> None:
    # An answer that is cut off within its headers looks so, too: another try will tell.
    said = answer.headers.get("Content-Range", "")
    if said != f"bytes {have}-{artifact.size - 1}/{artifact.size}":
        raise web.Broken(f"asked for the bytes from {have}, got {said or 'others'}")


def _refuse_other_length(answer: Any, artifact: Artifact) -> None:
    said = answer.headers.get("Content-Length")
    if said is not None and int(said) != artifact.size:
        raise NotVerified(
            f"{artifact.name} has {said} bytes at the portal, it should have {artifact.size}"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
