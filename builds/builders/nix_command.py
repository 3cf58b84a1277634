"""Calls Nix: its settings, its command lines, one call under watch."""

from __future__ import annotations

import grp
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from builds.builders import watched
from builds.builders.base import BuilderUnavailable, EvaluationFailed, LogSink, Progress
from builds.builders.log_relay import LogRelay
from builds.builders.nix_errors import failure
from builds.builders.watched import Watch
from builds.choices import Stage

# A derivation whose builder program does not exist: Nix says so once the sandbox stands, and
# something else where it can't build one.
_SANDBOX_PROBE = (
    'derivation { name = "sandbox-probe"; system = builtins.currentSystem; builder = "/absent"; }'
)
_NO_SANDBOX: Final = re.compile(
    r"cannot perform a sandboxed build"
    r"|required for sandboxing"
    r"|creating sandboxed builder process"
    r"|without sandbox-fallback"
    r"|mounting .?/proc.?: Operation not permitted"
    r"|cannot (?:pivot|change) (?:the )?(?:old )?root"
)


@dataclass(frozen=True, slots=True)
class NixSettings:
    """How Nix is called.

    `program` is its name or path; `offline` keeps it from asking substituters; `options` are
    further settings of Nix's own, as nix.conf names them; `pin_limit` is how many seconds
    pinning a source may take.
    """

    program: str = "nix"
    offline: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    pin_limit: float = 900

    def beside(self, name: str) -> str:
        """Another of Nix's programs, from where `program` is."""
        folder, slash, _ = self.program.rpartition("/")
        return self.program if name == "nix" else f"{folder}{slash}{name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of Nix printed: its standard output, and the end of its log without colours."""

    output: str
    log: tuple[str, ...]

    def json(self) -> Any:
        """The output where it should be JSON. Raises EvaluationFailed where it is not."""
        try:
            return json.loads(self.output)
        except ValueError as broken:
            raise EvaluationFailed(
                "Nix printed something that is not JSON; is its version newer than this portal "
                "knows?",
                self.output[:2000],
            ) from broken


@dataclass(frozen=True, slots=True)
class NixCalls:
    """Calls Nix, each time with the same settings, under one watch, into one log."""

    settings: NixSettings
    watch: Watch
    sink: LogSink

    def ask(self, arguments: Sequence[str]) -> Answer:
        """What Nix answers when called so. Raises a BuilderError where it fails."""
        ended, relay = self._run(arguments, self.sink)
        if ended.code != 0:
            raise failure(relay.log, relay.tail, ended.code)
        return Answer(ended.output.decode("utf-8", "replace"), tuple(relay.tail))

    def run_store(self, arguments: Sequence[str]) -> tuple[watched.Ended, LogRelay]:
        """Run nix-store: how it ended, and what it told. Raises a BuilderError as `ask` does."""
        return self._run(arguments, self.sink, "nix-store")

    def sandbox_refusal(self) -> str:
        """Why this machine can't isolate builds, in Nix's words; "" where it can.

        Asked with a derivation of no use instead of by letting the real build fail: where the
        real one is in the store already, Nix would build nothing and say nothing. No cache can
        have it, and asking one that can't be reached takes seconds.
        """
        arguments = ["build", "--no-link", "--impure", *sandbox(on=True)]
        arguments += ["--option", "substituters", ""]
        _, relay = self._run([*arguments, "--expr", _SANDBOX_PROBE], Silence())
        said = "\n".join([*relay.log.errors, *relay.tail])
        refusals = (line for line in said.splitlines() if _NO_SANDBOX.search(line))
        return next(refusals, "").removeprefix("error:").strip()

    def _run(
        self, arguments: Sequence[str], sink: LogSink, program: str = "nix"
    ) -> tuple[watched.Ended, LogRelay]:
        relay = LogRelay(sink)
        command = [self.settings.beside(program), *_options(self.settings), *arguments]
        try:
            ended = watched.run(command, self.watch, relay.take)
        except FileNotFoundError as missing:
            raise BuilderUnavailable(
                f"The program {self.settings.program} is not installed on this worker; install "
                "Nix (Debian's package nix-bin, or Nix's own installer)."
            ) from missing
        relay.tell_progress()
        return ended, relay


class Silence:
    """A log sink for calls whose log nobody reads."""

    def line(self, text: str) -> None:
        """Drop it."""

    def extend(self, texts: Sequence[str]) -> None:
        """Drop them."""

    def progress(self, progress: Progress) -> None:
        """Drop it."""

    def stage(self, stage: Stage) -> None:
        """Drop it."""


def sandbox(*, on: bool) -> list[str]:
    """The options that make Nix isolate builds or not, and never decide that by itself."""
    return [*_option("sandbox", "true" if on else "false"), *_option("sandbox-fallback", "false")]


def overrides(refs: Mapping[str, str]) -> list[str]:
    """The options that put other flakes in the place of a flake's inputs.

    Raises EvaluationFailed for a word that Nix could read as another option.
    """
    for word in (*refs, *refs.values()):
        if word.startswith("-") or not word.isprintable():
            raise EvaluationFailed(f"{word[:60]!r} can't be an input or a flake ref.")
    return [word for name, ref in refs.items() for word in ("--override-input", name, ref)]


def _option(name: str, value: str) -> list[str]:
    return ["--option", name, value]


def _options(settings: NixSettings) -> list[str]:
    options = {"accept-flake-config": "false", "warn-dirty": "false"}
    if settings.offline:
        options["substituters"] = ""
    if os.geteuid() == 0 and not _group_exists("nixbld"):
        options["build-users-group"] = ""
    words = [word for each in (options | dict(settings.options)).items() for word in _option(*each)]
    return [
        *("--extra-experimental-features", "nix-command flakes"),
        *("--log-format", "internal-json"),
        *words,
    ]


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
