"""A channel over a tiny flake: real Nix, a fraction of a second a build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings

from builds.choices import System, Trigger, Variant
from builds.models import Channel, Release, Target
from builds.pipeline import trigger
from builds.tests.builders.flakes import NETBOOT, SYSTEM, Flake, attribute
from builds.tests.tarballs import written

VERSION = "12.20261122.abcdef0"


def tarball_of(name: str) -> str:
    """The script of an image whose kexec tarball holds a file of this name."""
    path = "$out/nixos-kexec-installer-demo.tar.gz"
    return f"run mkdir -p $out\n{written(path, name)}\nproduct tarball {path}\n"


TARBALL = tarball_of("kexec/run")

MakeChannel = Callable[..., Channel]


@pytest.fixture(autouse=True)
def _no_cache(settings: LazySettings) -> None:
    """These flakes need nothing from outside; asking an unreachable cache takes seconds."""
    settings.NIX_OFFLINE = True


@pytest.fixture
def make_channel(tmp_path: Path) -> MakeChannel:
    """Make a channel of one system whose images are these scripts, by variant."""

    def make(name: str = "demo", checks: tuple[str, ...] = (), **scripts: str) -> Channel:
        images = {variant.replace("_", "-"): script for variant, script in scripts.items()}
        flake = write_flake(tmp_path / name, images or {"netboot": NETBOOT})
        channel = Channel.objects.create(
            name=name, title=name, flake=flake.ref, checks=list(checks), marker="it is up"
        )
        for variant in flake.images:
            Target.objects.create(
                channel=channel,
                system=SYSTEM,
                variant=Variant(variant),
                attribute=attribute("{variant}"),
            )
        return channel

    return make


def write_flake(folder: Path, images: dict[str, str]) -> Flake:
    """Write the flake, or write it again: its revision moves."""
    folder.mkdir(parents=True, exist_ok=True)
    return Flake(folder, images, versions=dict.fromkeys(images, VERSION)).write()


def draft_of(channel: Channel, *, forced: bool = False) -> Release:
    """A new draft of the channel's one system."""
    [release] = trigger(channel, [System(SYSTEM)], why=Trigger.ADMIN, forced=forced)
    return release
