"""Which builder there is for what: each origin of a release has one, listed here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from builds.builders.base import Builder
from builds.builders.hydra import HydraBuilder, HydraSettings
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import BuilderName, Origin
from builds.models import Release
from builds.pipeline.arrived import ArrivedBuilder


def builder() -> Builder:
    """What builds here."""
    return nix()


def nix() -> NixBuilder:
    """The Nix of this machine, as the settings name it."""
    return NixBuilder(
        NixSettings(
            program=settings.NIX_PROGRAM,
            offline=settings.NIX_OFFLINE,
            options=settings.NIX_OPTIONS,
        )
    )


def closure_of(folder: Path) -> list[Path]:
    """Every store path that a folder in the Nix store reaches; none of one that lies elsewhere.

    Raises a BuilderError.
    """
    place = folder.resolve()
    return nix().closure(place) if place.is_relative_to("/nix/store") else []


def hydra() -> Builder:
    """The one that fetches from a Hydra, as the settings allow it."""
    return HydraBuilder(
        HydraSettings(
            downloads=settings.DATA_DIR / "downloads", networks=tuple(settings.HYDRA_NETWORKS)
        )
    )


BUILDERS: dict[Origin, Callable[[Release], Builder]] = {
    Origin.BUILT: lambda _: builder(),
    Origin.HYDRA: lambda _: hydra(),
    Origin.ADOPTED: ArrivedBuilder,
    Origin.UPLOADED: ArrivedBuilder,
}


def builder_for(release: Release) -> Builder:
    """What pins a draft, as its channel says, or builds what was pinned so."""
    pinned = release.pinned_at is not None
    origin = Origin(release.origin) if pinned else origin_for(release)
    return BUILDERS[origin](release)


def origin_for(release: Release) -> Origin:
    """The origin that a draft gets when it is pinned."""
    return BuilderName(release.channel.builder).origin
