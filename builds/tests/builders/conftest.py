"""What the tests of the nix builder share: a builder, a sink, a request from a flake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builds.builders.base import BuildRequest, CancelSignal, Source
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import System, Variant
from builds.tests.builders.flakes import Flake, attribute
from builds.tests.builders.sinks import Memory


@pytest.fixture
def builder() -> NixBuilder:
    return NixBuilder(NixSettings(offline=True))


@pytest.fixture
def sink() -> Memory:
    return Memory()


@pytest.fixture
def request_for(builder: NixBuilder, sink: Memory, tmp_path: Path) -> Callable[..., BuildRequest]:
    """Write a flake with one image made by a script, pin it, and ask for that image."""

    def make(
        script: str,
        variant: Variant = Variant.NETBOOT,
        cancelled: CancelSignal = lambda: False,
        **limits: float,
    ) -> BuildRequest:
        flake = Flake(tmp_path / "flake", {"demo": script}, versions={"demo": "26.05.demo"})
        pin = builder.pin(Source(flake.write().ref, attribute("demo")))
        system = System.X86_64
        return BuildRequest(pin, attribute("demo"), system, variant, sink, cancelled, **limits)

    return make
