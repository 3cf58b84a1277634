"""Builds a release again, and compares it to the byte with what the storage holds."""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from builds.builders.base import (
    BuildCancelled,
    BuilderError,
    BuildOutput,
    BuildRequest,
    Product,
    Progress,
)
from builds.builders.nix import NixBuilder
from builds.builders.nix_again import Again, Different, forget
from builds.choices import CheckName, Role, Stage, Verdict
from builds.emulator.watch import BootCancelled, BootFailed, BootResult
from builds.models import Artifact, Build, Release
from builds.pipeline.checks import diffoscope
from builds.pipeline.checks.difference import (
    LARGEST_KEPT,
    MOST_KEPT,
    Pair,
    Parting,
    Side,
    files_of,
    sha256_of,
    told,
)
from builds.pipeline.checks.subject import local_copy, refuse_if_damaged
from builds.pipeline.makers import nix
from builds.pipeline.run import request_for
from builds.pipeline.space import refuse_if_short
from builds.pipeline.workers import built_on, host_of

logger = logging.getLogger(__name__)

SAME, ANOTHER = "same-worker", "another-worker"
_MOST_REPORTS = 3
_LINES = 200
_SHOWN = 16 * 1024  # characters of diffoscope's report that the page itself shows
_HASH_LENGTH = 33  # of a store path's name, its dash too


@dataclass(frozen=True, slots=True)
class Compared(BootResult):
    """What came of a comparison.

    `comparison` is for the database and the manifest, see docs/reproduced.md; `kept` are files
    worth keeping, by the names that they are to have, to which the attempt is added.
    """

    comparison: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, bytes] = field(default_factory=dict)


def reproduced(release: Release, cancelled: Callable[[], bool]) -> BootResult:
    """Build every variant of a release again; the check called so.

    Raises BootCancelled; OSError, and a BuilderError that may be tried again, where something
    else than the release is in the way.
    """
    started = time.monotonic()
    log = Log()
    try:
        found = _Comparison(release, cancelled, log).run()
    except BuildCancelled:
        raise BootCancelled from None
    except BootFailed as failed:
        return _not_compared(failed.verdict, str(failed), started)
    except BuilderError as error:
        if error.retry:
            raise
        text = f"It could not be built again: {error}"
        return _not_compared(Verdict.ERROR, text, started, error.excerpt or log.text)
    return _with_seconds(found, started)


class _Comparison:
    """One release, built again variant by variant."""

    def __init__(self, release: Release, cancelled: Callable[[], bool], log: Log) -> None:
        self._release = release
        self._cancelled = cancelled
        self._log = log
        self._nix: NixBuilder = nix()

    def run(self) -> Compared:
        if not self._release.is_built_here:
            raise BootFailed(Verdict.ERROR, "It was built elsewhere: not checked here.")
        refuse_if_short(settings.DISK_FREE_LEAST)
        outputs: list[BuildOutput] = []
        proves_nothing: list[str] = []
        for build in self._release.builds.newest_per_variant():
            request = self._request(build)
            is_new = self._is_new_here(build)
            output = self._nix.build(request)
            outputs.append(output)
            if not (is_new and self._nix.has_made(output.derivation, request)):
                proves_nothing.append(output.derivation)
        again = self._nix.build_again(proves_nothing, request)
        try:
            return self._told(outputs, again)
        finally:
            forget(again.different)

    def _is_new_here(self, build: Build) -> bool:
        """Whether building this variant here gives a second build of it, unless a cache has it.

        On the machine that has built it, parts of it may lie in the store; those of another
        machine were built by that one, too.
        """
        return not self._is_same_machine() and not self._nix.holds(build.store_path)

    def _request(self, build: Build) -> BuildRequest:
        return request_for(build, self._log, self._cancelled)

    def _told(self, outputs: Sequence[BuildOutput], again: Again) -> Compared:
        with ExitStack() as stack:
            partings = [*told(self._files(outputs, stack)), *of_outputs(again.different)]
            comparison = {
                "where": SAME if self._is_same_machine() else ANOTHER,
                "builder_version": outputs[0].builder_version,
                "files": self._files_count(),
                "derivations": again.derivations,
                "differences": [each.record for each in partings],
            }
            if not partings:
                assert not again.different, "each output that differs gives a parting"
                return _compared(Verdict.PASSED, _same(comparison), "", comparison)
            return self._differs(partings, comparison)

    def _differs(self, partings: Sequence[Parting], comparison: dict[str, Any]) -> Compared:
        more = f", and {len(partings) - 1} more" if len(partings) > 1 else ""
        reason = f"{partings[0].sentence}{more}: {_built(comparison)}."
        text = "\n".join(each.text for each in partings)
        reports = "".join(self._reports(partings))
        kept = _second_files(partings)
        if reports:
            kept = {"diffoscope.txt": reports.encode(), **kept}
        shown = f"{text}\n\n{reports[:_SHOWN]}".strip()
        return _compared(Verdict.DIFFERS, reason, shown, comparison, kept)

    def _reports(self, partings: Sequence[Parting]) -> Iterator[str]:
        plain = [each for each in partings if each.offset is not None]
        for each in plain[:_MOST_REPORTS]:
            assert each.pair.second is not None, "what parts at a byte is there twice"
            said = diffoscope.report(each.pair.first, each.pair.second, self._cancelled)
            if said:
                yield f"diffoscope on {each.pair.name}:\n{said}\n"

    def _files(self, outputs: Sequence[BuildOutput], stack: ExitStack) -> Iterator[Pair]:
        """Each stored artifact whose digest the second build does not have, with that file."""
        made = {each.name: each for output in outputs for each in output.products}
        for artifact in self._artifacts():
            product = made.get(artifact.name)
            if product is not None and _is_same(artifact, product):
                continue
            artifact.release = self._release
            refuse_if_damaged(artifact)
            first = stack.enter_context(local_copy(artifact))
            yield Pair(artifact.name, first, product.path if product else None)

    def _artifacts(self) -> list[Artifact]:
        # The script with its own release's name is written here, not built.
        return list(self._release.artifacts.exclude(role=Role.IPXE).select_related("build"))

    def _files_count(self) -> int:
        return len(self._artifacts())

    def _is_same_machine(self) -> bool:
        mine = self._release.checks.filter(name=CheckName.REPRODUCED).values_list("worker")
        worker = next((name for (name,) in mine if name), socket.gethostname())
        return host_of(worker) in built_on(self._release)


class Log:
    """The end of what Nix says while it builds again."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)

    @property
    def text(self) -> str:
        """All that is kept of it."""
        return "\n".join(self._lines)

    def line(self, text: str) -> None:
        """Take one line."""
        self._lines.append(text)

    def extend(self, texts: Sequence[str]) -> None:
        """Take several."""
        self._lines.extend(texts)

    def progress(self, progress: Progress) -> None:
        """Nobody watches."""

    def stage(self, stage: Stage) -> None:
        """Nobody watches."""


def of_outputs(different: Sequence[Different]) -> Iterator[Parting]:
    """How outputs that Nix found to differ do so, by their files, named like the artifacts.

    Each gives at least one: outputs may differ in other things, such as rights to execute, and
    Nix may have kept no second one to look at.
    """
    for each in different:
        called = each.first.name[_HASH_LENGTH:]
        found = list(told(files_of(each.first, each.second, called)))
        yield from found or [Parting(Pair(called, each.first, each.second), None, Side(), Side())]


def _is_same(artifact: Artifact, product: Product) -> bool:
    return product.size == artifact.size and sha256_of(product.path) == artifact.sha256


def _second_files(partings: Sequence[Parting]) -> dict[str, bytes]:
    """The files of the second build that are small enough to be kept whole."""
    kept: dict[str, bytes] = {}
    left = MOST_KEPT
    for each in partings:
        path, size = each.pair.second, each.second.size
        if path is None or size is None or size > min(LARGEST_KEPT, left):
            continue
        left -= size
        kept.setdefault(each.pair.name.rpartition("/")[2], path.read_bytes())
    return kept


def _same(comparison: Mapping[str, Any]) -> str:
    files = comparison["files"]
    said = f"All {files} files are" if files != 1 else "The one file is"
    return f"{said} the same to the byte: {_built(comparison)}."


def _built(comparison: Mapping[str, Any]) -> str:
    where = {SAME: "on the worker that had built it", ANOTHER: "on another worker"}
    count = comparison["derivations"]
    steps = f", {count} derivation{'' if count == 1 else 's'} of it" if count else ""
    return f"built again {where[comparison['where']]} by {comparison['builder_version']}{steps}"


def _compared(
    verdict: Verdict,
    reason: str,
    shown: str,
    comparison: Mapping[str, Any],
    kept: Mapping[str, bytes] | None = None,
) -> Compared:
    return Compared(verdict, 0, "", reason, shown, comparison=comparison, kept=kept or {})


def _with_seconds(found: Compared, started: float) -> Compared:
    return Compared(
        found.verdict,
        time.monotonic() - started,
        "",
        found.reason,
        found.console,
        comparison=found.comparison,
        kept=found.kept,
    )


def _not_compared(verdict: Verdict, reason: str, started: float, shown: str = "") -> BootResult:
    return BootResult(verdict, time.monotonic() - started, "", reason, shown)
