"""Builds again what the Nix store holds already, and tells which outputs came out otherwise."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builds.builders.nix_command import NixCalls, sandbox
from builds.builders.nix_errors import failure

# In the head of a derivation's file, of each output: name, path, and hash where that is fixed.
_OUTPUT = re.compile(r'\("[^"]*","(/nix/store/[^"]+)","[^"]*","[^"]*"\)')
_HEAD_LIMIT = 64 * 1024
_DIFFERS = re.compile(
    r"error: derivation '(?P<derivation>/nix/store/[^'/]+)' may not be deterministic: "
    r"output '(?P<first>/nix/store/[^'/]+)' differs(?: from '(?P<second>(?P=first)\.check)')?"
)
_AT_ONCE = 500  # paths in one command line


@dataclass(frozen=True, slots=True)
class Different:
    """An output that came out otherwise: the store's, and the second; None where Nix kept none."""

    derivation: str
    first: Path
    second: Path | None


@dataclass(frozen=True, slots=True)
class Again:
    """What came of building so many derivations again."""

    derivations: int
    different: tuple[Different, ...] = ()


def made_here(calls: NixCalls, derivations: Sequence[str]) -> list[str]:
    """All derivations that these are made of, themselves too, that this machine has built.

    Not those whose output's hash is fixed beforehand, such as sources: those can't differ; nor what
    was fetched from a cache. Raises a BuilderError.
    """
    if not derivations:
        return []
    listed, relay = calls.run_store(["--query", "--requisites", *derivations])
    if listed.code != 0:
        raise failure(relay.log, relay.tail, listed.code)
    makers: dict[str, str] = {}
    for path in listed.output.decode().split():
        if path.endswith(".drv"):
            makers |= dict.fromkeys(_outputs(Path(path)), path)
    there = [output for output in makers if Path(output).exists()]
    return sorted({makers[output] for output in _ultimate(calls, there)})


def build_again(calls: NixCalls, derivations: Sequence[str], *, sandboxed: bool) -> Again:
    """Build these derivations, whose outputs are in the store, once more and let Nix compare.

    Give what is told of to `forget`. Raises a BuilderError where one could not be built.
    """
    if not derivations:
        return Again(0)
    ended, relay = calls.run_store(
        [
            *("--realise", "--check", "--keep-going"),
            # Nix keeps a second output only where a hook is to look at it.
            *("--option", "run-diff-hook", "true"),
            *("--option", "diff-hook", shutil.which("true") or "/bin/true"),
            *sandbox(on=sandboxed),
            *derivations,
        ]
    )
    # Nix's own words only: a builder program may print what it likes.
    different = tuple(_different(relay.log.errors))
    if ended.code != 0 and not different:
        raise failure(relay.log, relay.tail, ended.code)
    return Again(len(derivations), different)


def forget(different: Iterable[Different]) -> None:
    """Remove the second outputs; where that is not allowed Nix's garbage collector does it."""
    for each in different:
        if each.second is not None:
            with suppress(OSError):
                _remove(each.second)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o755)  # nothing in the store may be written, not even by its owner
    shutil.rmtree(path)


def _outputs(derivation: Path) -> list[str]:
    try:
        with derivation.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD_LIMIT)
    except OSError:
        return []
    return _OUTPUT.findall(head.removeprefix("Derive([").partition(")],")[0] + ")")


def _ultimate(calls: NixCalls, outputs: Sequence[str]) -> Iterator[str]:
    """Of store paths those that were built on this machine."""
    for start in range(0, len(outputs), _AT_ONCE):
        some = outputs[start : start + _AT_ONCE]
        for line in calls.ask(["path-info", "--sigs", "--", *some]).output.splitlines():
            path, *marks = line.split()
            if "ultimate" in marks and not any(mark.startswith("ca:") for mark in marks):
                yield path


def _different(errors: Iterable[str]) -> Iterator[Different]:
    seen = set()
    for error in errors:
        found = _DIFFERS.match(error)
        if found is None or found["first"] in seen:
            continue
        seen.add(found["first"])
        second = Path(found["second"]) if found["second"] else None
        is_there = second is not None and (second.exists() or second.is_symlink())
        yield Different(found["derivation"], Path(found["first"]), second if is_there else None)
