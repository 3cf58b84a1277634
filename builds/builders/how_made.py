"""How a build was made, as far as its builder can tell: frozen values for provenance and SBOM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Closure = Literal["image", "build", ""]
Kind = Literal["nix", "deb"]
Setting = str | bool | int | list[str]


@dataclass(frozen=True, slots=True)
class Input:
    """One node of the flake's lock, as it was taken: `uri` is a flake ref without secrets.

    `nar_hash` is as Nix writes it (sha256-…), `revision` 40 hex digits; "" where there is none.
    """

    name: str
    uri: str
    nar_hash: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One thing inside an image, or one that was needed to build it.

    `place` is what sets it apart: a store path, the file name of a Debian package. `sha256` is of
    that file, `nar_sha256` of a store path's NAR, both as lowercase hex, "" where nobody tells;
    `size` is in bytes. `built_with`: it was needed, but is not said to be inside.
    """

    kind: Kind
    name: str
    version: str
    place: str
    sha256: str = ""
    nar_sha256: str = ""
    size: int | None = None
    built_with: bool = False


@dataclass(frozen=True, slots=True)
class HowMade:
    """What a builder knows of how it built.

    `settings` are Nix's own, by their names there; `closure` says what the components are: "image"
    where the image itself lists what is inside it, "build" where only the store was asked: the
    output's runtime closure and the recipes behind it, "" where there is no list at all.
    """

    inputs: tuple[Input, ...] = ()
    settings: dict[str, Setting] = field(default_factory=dict)
    closure: Closure = ""
    components: tuple[Component, ...] = ()
