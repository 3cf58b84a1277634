"""The nix builder: pins a flake, builds one image of it, and reads what the output offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from builds.builders import contents, nix_pin, nix_recipe, products
from builds.builders.base import (
    BadProduct,
    BuilderError,
    BuildOutput,
    BuildRequest,
    CancelSignal,
    Pin,
    Source,
    never,
)
from builds.builders.how_made import HowMade
from builds.builders.nix_again import Again, build_again, made_here
from builds.builders.nix_command import NixCalls, NixSettings, Silence, overrides, sandbox
from builds.builders.watched import Watch
from builds.choices import Stage

_STORE = "/nix/store/"
_VERSION_LIMIT = 20.0


@dataclass(frozen=True, slots=True)
class NixBuilder:
    """Builds with the Nix of this machine, from version 2.8 on."""

    settings: NixSettings = field(default_factory=NixSettings)

    def pin(self, source: Source, cancelled: CancelSignal = never) -> Pin:
        """Fix a source at its present revision; see Builder."""
        limit = self.settings.pin_limit
        watch = Watch(cancelled, time_limit=limit, silence_limit=limit)
        return nix_pin.pin(NixCalls(self.settings, watch, Silence()), source)

    def version(self) -> str:
        """See Builder."""
        watch = Watch(never, time_limit=_VERSION_LIMIT, silence_limit=_VERSION_LIMIT)
        try:
            return _version(NixCalls(self.settings, watch, Silence()))
        except BuilderError:
            return ""

    def provide(self, flake: str, attribute: str, cancelled: CancelSignal = never) -> Path:
        """Have an attribute in the store; see Builder."""
        limit = self.settings.pin_limit
        watch = Watch(cancelled, time_limit=limit, silence_limit=limit)
        calls = NixCalls(self.settings, watch, Silence())
        pin = Pin(flake=flake, overrides={}, revision="", nar_hash="", version="")
        return _realise(calls, pin, attribute, sandboxed=_can_isolate(calls)).output

    def closure(self, path: Path, cancelled: CancelSignal = never) -> list[Path]:
        """Every store path that one in the store reaches, itself too. Raises a BuilderError."""
        limit = self.settings.pin_limit
        watch = Watch(cancelled, time_limit=limit, silence_limit=limit)
        return list(_closure(NixCalls(self.settings, watch, Silence()), path))

    def holds(self, path: str) -> bool:
        """Whether this machine's store has a path."""
        return bool(path) and Path(path).exists()

    def has_made(self, derivation: str, like: BuildRequest) -> bool:
        """Whether this machine has built a derivation, and not fetched it. Raises BuilderError."""
        return derivation in made_here(self._calls(like), [derivation])

    def build_again(self, derivations: Sequence[str], like: BuildRequest) -> Again:
        """Build some derivations once more, with all that this machine has built for them.

        Their outputs must be in the store; log, limits and signal are those of a request. Give
        what is told of to `forget`. Raises a BuilderError.
        """
        calls = self._calls(like)
        all_of_them = sorted({*derivations, *made_here(calls, derivations)})
        return build_again(calls, all_of_them, sandboxed=_can_isolate(calls))

    def _calls(self, like: BuildRequest) -> NixCalls:
        watch = Watch(like.cancelled, like.time_limit, like.silence_limit)
        return NixCalls(self.settings, watch, like.log)

    def build(self, request: BuildRequest) -> BuildOutput:
        """Build one image; see Builder."""
        watch = Watch(request.cancelled, request.time_limit, request.silence_limit)
        calls = NixCalls(self.settings, watch, request.log)
        watch.check(watch.started)
        request.log.stage(Stage.EVALUATE)
        # Nix is silent while it reads the flake; whoever watches sees at once that it has begun.
        request.log.line(f"Evaluating {request.attribute} of {request.pin.flake}")
        sandboxed = _can_isolate(calls)
        realised = _realise(calls, request.pin, request.attribute, sandboxed=sandboxed)
        closure = _closure(calls, realised.output)
        offered = products.read_products(
            realised.output, request.variant, closure, request.log.line
        )
        facts = products.read_facts(realised.output)
        return BuildOutput(
            products=offered,
            derivation=realised.derivation,
            store_path=str(realised.output),
            closure_size=sum(closure.values()),
            version=facts.version or request.pin.version,
            kernel_version=facts.kernel_version,
            kernel_params=products.kernel_params(offered),
            sandboxed=sandboxed,
            builder_version=_version(calls),
            memory=facts.memory,
            how=_how_made(calls, request.pin, realised, sandboxed=sandboxed),
        )


@dataclass(frozen=True, slots=True)
class _Realised:
    derivation: str
    output: Path


def _can_isolate(calls: NixCalls) -> bool:
    refusal = calls.sandbox_refusal()
    if refusal:
        calls.sink.line(
            f"This machine can't isolate builds, so this one runs without the sandbox: {refusal}"
        )
    return not refusal


def _realise(calls: NixCalls, pin: Pin, attribute: str, *, sandboxed: bool) -> _Realised:
    # No --print-build-logs: it would switch the JSON log off, which has those lines anyway.
    answer = calls.ask(
        [
            *("build", "--json", "--no-link", "--no-write-lock-file"),
            *sandbox(on=sandboxed),
            *overrides(pin.overrides),
            *("--", f"{pin.flake}#{attribute}"),
        ]
    )
    # Newer versions add fields, and may leave out the store's folder.
    match answer.json():
        case [{"drvPath": str(derivation), "outputs": {"out": str(output)}}, *_]:
            return _Realised(_in_store(derivation), Path(_in_store(output)))
    raise BadProduct(f"{attribute} has no output named out.", answer.output[:2000])


def _how_made(calls: NixCalls, pin: Pin, realised: _Realised, *, sandboxed: bool) -> HowMade:
    inside = contents.listed(realised.output)
    quiet = replace(calls, sink=Silence())
    by_store = (
        () if inside else contents.known_to_store(quiet, realised.output, realised.derivation)
    )
    return HowMade(
        inputs=nix_recipe.inputs(quiet, pin),
        settings=nix_recipe.settings(quiet, sandboxed=sandboxed),
        closure="image" if inside else ("build" if by_store else ""),
        components=inside or by_store,
    )


def _closure(calls: NixCalls, output: Path) -> dict[Path, int]:
    """Every store path that the output reaches, itself too, with its NAR size in bytes.

    Read from the plain listing: its shape has stayed, while the JSON's has changed twice.
    """
    answer = calls.ask(["path-info", "--recursive", "--size", "--", str(output)])
    rows = (line.split() for line in answer.output.splitlines())
    return {Path(row[0]): int(row[1]) for row in rows if len(row) == 2}  # noqa: PLR2004


def _version(calls: NixCalls) -> str:
    return calls.ask(["--version"]).output.strip()


def _in_store(path: str) -> str:
    return path if path.startswith("/") else _STORE + path
