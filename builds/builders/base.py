"""What every builder takes and gives: frozen values, no Django, no Celery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from builds.builders.how_made import HowMade
from builds.choices import Role, Stage, System, Variant


@dataclass(frozen=True, slots=True)
class Source:
    """Where images are defined, before it is pinned.

    `flake` is a flake ref; `overrides` maps names of the flake's inputs to flake refs that take
    their place; `revision_input` names the input whose revision names the release ("" is the
    flake itself); `attribute` is the path of one image inside the flake.
    """

    flake: str
    attribute: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    revision_input: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """A source at one revision: building it later gives the same derivation.

    `revision` is 40 hex digits: the git revision, or, where the source is a plain folder, the
    first 40 of its NAR hash. `version` is what the image's derivation calls itself, `name` what
    the release is to be called where that is another. `source` is where one can look up what was
    built elsewhere, "" for what is built here.
    """

    flake: str
    overrides: Mapping[str, str]
    revision: str
    nar_hash: str
    version: str
    name: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is: derivations built of those expected, bytes fetched of those expected."""

    done: int = 0
    expected: int = 0
    running: int = 0
    bytes_done: int = 0
    bytes_expected: int = 0


class LogSink(Protocol):
    """Where a builder tells what happens; called from one thread, must return quickly."""

    def line(self, text: str) -> None:
        """Take one line of the log, without its end of line."""

    def extend(self, texts: Sequence[str]) -> None:
        """Take several lines in a row."""

    def progress(self, progress: Progress) -> None:
        """Take the newest progress; earlier ones may be dropped."""

    def stage(self, stage: Stage) -> None:
        """Note that the build has come to this stage."""


CancelSignal = Callable[[], bool]
"""Asked several times a second; true means: stop everything and raise BuildCancelled."""


def never() -> bool:
    """The signal of what nobody stops."""
    return False


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One image to build from a pinned source."""

    pin: Pin
    attribute: str
    system: System
    variant: Variant
    log: LogSink
    cancelled: CancelSignal
    time_limit: float = 6 * 3600
    silence_limit: float = 3600


@dataclass(frozen=True, slots=True)
class Product:
    """One file that a build offers: a plain file of more than 0 bytes inside the output.

    `sha256` is what it must have when it is stored, "" where nobody knows before.
    """

    name: str
    role: Role
    path: Path
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """What a build gave.

    `closure_size` is in bytes, None where nobody tells; `version` and `kernel_version` are what
    the image says of itself, "" where it says nothing; `kernel_params` is the kernel's command
    line as the image's own iPXE script has it, without initrd= and ${cmdline}; `memory` is the MiB
    of RAM that the image says it needs, None where it says nothing; `sandboxed` says whether Nix
    could isolate the build, None where nobody tells. `source` is where one can look up a build
    that was made elsewhere. `how` is what the builder knows of how it was built, None where it
    knows nothing. `scratch` is a folder that may go once the products are stored.
    """

    products: tuple[Product, ...]
    derivation: str
    store_path: str
    closure_size: int | None
    version: str
    kernel_version: str
    kernel_params: str
    sandboxed: bool | None
    builder_version: str
    memory: int | None = None
    source: str = ""
    how: HowMade | None = None
    scratch: Path | None = None


class BuilderError(Exception):
    """A build did not give what it should; `retry` says whether trying again can help.

    `excerpt` is the part of the log that shows why, "" where there is none.
    """

    retry = False

    def __init__(self, message: str, excerpt: str = "") -> None:
        super().__init__(message)
        self.excerpt = excerpt


class BuilderUnavailable(BuilderError):
    """The builder itself is missing or could not reach what it needs: network, daemon."""

    retry = True


class OutOfSpace(BuilderError):
    """The disk is full."""

    retry = True


class EvaluationFailed(BuilderError):
    """The Nix expressions do not evaluate: a broken attribute, a syntax error."""


class DerivationFailed(BuilderError):
    """A derivation's own builder program failed."""


class BadProduct(BuilderError):
    """The build ended well but what it offers is missing, empty or leads out of the output."""


class BuildTimedOut(BuilderError):
    """The build took longer, or was silent for longer, than its limit."""


class BuildCancelled(BuilderError):
    """The build was told to stop, and has."""


class Builder(Protocol):
    """What gets a variant built."""

    def pin(self, source: Source, cancelled: CancelSignal = never) -> Pin:
        """Fix a source at its present revision.

        Raises EvaluationFailed where the source does not exist or evaluate, BuilderUnavailable
        where it cannot be reached, BuildCancelled where it was told to stop.
        """

    def version(self) -> str:
        """What the builder calls itself, "" where it is not there."""

    def provide(self, flake: str, attribute: str, cancelled: CancelSignal = never) -> Path:
        """The output of an attribute as it lies in the store, built where it is not there yet.

        For what the portal itself needs; nobody reads products in it. Raises a BuilderError.
        """

    def build(self, request: BuildRequest) -> BuildOutput:
        """Build one image; blocks until it ends. Raises a BuilderError."""
