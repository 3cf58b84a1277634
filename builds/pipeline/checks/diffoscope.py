"""Lets diffoscope, where it is installed, say how two files differ: bounded, and with no rights."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from builds import processes
from builds.builders import watched
from builds.builders.base import BuildTimedOut

PROGRAM = "diffoscope"
SECONDS = 120.0
LARGEST_REPORT = 512 * 1024
LARGEST_READ = 512 * 1024 * 1024
_MEMORY = 2 * 1024 * 1024 * 1024
_WRITTEN = 1024 * 1024 * 1024  # bytes of one file; it unpacks what it compares
_NOBODY = "65534"
_OPTIONS = (
    *("--text", "-", "--no-progress", "--text-color", "never"),
    *("--max-text-report-size", str(LARGEST_REPORT)),
    *("--max-container-depth", "8"),
)


def report(first: Path, second: Path, cancelled: Callable[[], bool]) -> str:
    """What diffoscope says of two files, as text; "" where it is not there or says nothing.

    Images come out of builds that anybody may have written: it reads them as nobody, without
    network or our environment, within limits of time, memory and disk. Raises BuildCancelled and
    OSError.
    """
    program = shutil.which(PROGRAM)
    if program is None or max(first.stat().st_size, second.stat().st_size) > LARGEST_READ:
        return ""
    with _room() as folder, _readable(folder, first, second) as (one, other):
        command = [*_confined(folder / "work"), program, *_OPTIONS, str(one), str(other)]
        watch = watched.Watch(cancelled, SECONDS, SECONDS)
        try:
            ended = watched.run(command, watch, lambda _lines: None)
        except BuildTimedOut:
            return f"{PROGRAM} took longer than {SECONDS:g} s.\n"
    said = ended.output[:LARGEST_REPORT].decode("utf-8", "replace")
    return said.replace(str(one), "first").replace(str(other), "second")


@contextmanager
def _room() -> Iterator[Path]:
    """A folder that others may enter, and one in it where nobody may write."""
    with tempfile.TemporaryDirectory(prefix="differs-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "work").mkdir()
        (folder / "work").chmod(0o777)
        yield folder


@contextmanager
def _readable(folder: Path, *files: Path) -> Iterator[list[Path]]:
    """The same files where somebody without rights can read them: the Nix store is for all."""
    places = []
    for number, file in enumerate(files):
        if file.is_relative_to("/nix/store"):
            places.append(file)
            continue
        copy = folder / f"{number}-{file.name}"
        shutil.copyfile(file, copy)
        copy.chmod(0o644)
        places.append(copy)
    yield places


def _confined(work: Path) -> list[str]:
    """Words to put before a command that is to do no harm, as far as this machine allows."""
    surroundings = (f"PATH={os.defpath}:/usr/bin:/bin", f"TMPDIR={work}", f"HOME={work}")
    return [
        *_apart(),
        *_without_rights(),
        *("env", "-i", *surroundings, "LANG=C.UTF-8"),
        *("nice", "-n", "19"),
        *("prlimit", f"--as={_MEMORY}", f"--fsize={_WRITTEN}", f"--cpu={int(SECONDS)}", "--core=0"),
        "--",
    ]


@cache
def _apart() -> tuple[str, ...]:
    """No network, where the kernel lets us give it one of its own."""
    ways = (("unshare", "--net"), ("unshare", "--user", "--net"))
    return next((way for way in ways if _works(way)), ())


@cache
def _without_rights() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ("setpriv", "--no-new-privs")
    return (
        *("setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups"),
        *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"),
    )


def _works(words: tuple[str, ...]) -> bool:
    try:
        return processes.ask([*words, "true"]).returncode == 0
    except OSError:
        return False
