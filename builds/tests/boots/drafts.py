"""Drafts whose stored files are the mini image's own, some of them broken on purpose."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from builds import pipeline
from builds.builders.base import Pin
from builds.builders.products import params_of_script, parse_listing
from builds.choices import BuildStatus, Role, System, Trigger, Variant
from builds.models import Artifact, Build, Channel, Check, Release
from builds.storage import artifacts
from builds.tests.boots.edits import Edit
from builds.tests.factories import ChannelFactory

NIX = (
    "nix",
    *("--extra-experimental-features", "nix-command flakes"),
    *("--option", "build-users-group", ""),
    *("--option", "substituters", ""),
)
FLAKE = f"path:{settings.BASE_DIR}/images/mini"


@dataclass(frozen=True)
class Image:
    """One variant of the mini image as Nix built it."""

    version: str
    memory: int
    params: str
    files: tuple[tuple[Role, Path], ...]


def build_image(system: System, variant: Variant) -> Image:
    """Have Nix build one variant; it lies in the store where that was done before."""
    attribute = f"{FLAKE}#packedOn.{platform.machine()}-linux.{system}.{variant}"
    command = [*NIX, "build", "--json", "--no-link", attribute]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    output = Path(json.loads(done.stdout)[0]["outputs"]["out"])
    facts = json.loads((output / "nix-support" / "image.json").read_text())
    listing = (output / "nix-support" / "hydra-build-products").read_text()
    listed = [(each.role, Path(each.path)) for each in parse_listing(listing) if each.role]
    scripts = [path.read_text() for role, path in listed if role == Role.IPXE]
    params = params_of_script(scripts[0]) if scripts else ""
    files = tuple(each for each in listed if each[0] != Role.IPXE)
    return Image(facts["version"], facts["min_ram_mib"], params, files)


def draft(
    system: System, images: Mapping[Variant, Image], edits: Mapping[Role, Edit] | None = None
) -> Release:
    """A draft of these variants with its files stored, each changed by an edit of its role."""
    [version] = {image.version for image in images.values()}
    channel = Channel.objects.filter(name="demo").first() or ChannelFactory(
        name="demo", variants=list(images), checks=[], ssh=True
    )
    release = Release.objects.create(channel=channel, system=system, trigger=Trigger.ADMIN)
    pin = Pin("path:images/mini", {}, "b" * 40, "sha256-x", version)
    release.pin(pin, at=timezone.now())
    for variant, image in images.items():
        build = Build.objects.create(
            release=release,
            variant=variant,
            attribute="packages.{system}.{variant}",
            status=BuildStatus.SUCCEEDED,
            kernel_params=image.params,
            declared_memory=image.memory,
        )
        for role, path in image.files:
            edit = (edits or {}).get(role)
            _store(release, build, role, path, edit)
    return release


def _store(release: Release, build: Build, role: Role, path: Path, edit: Edit | None) -> None:
    key = release.key(path.name)
    if edit is None:
        stored = artifacts().put_once(key, path)
    else:
        stored = artifacts().write_once(key, edit(path.read_bytes()))
    Artifact.objects.create(
        release=release,
        build=build,
        variant=build.variant,
        role=role,
        name=path.name,
        size=stored.size,
        sha256=stored.sha256,
    )


def checked(release: Release, name: str) -> Check:
    """A check of a draft, run to its verdict as a worker does."""
    check = Check.objects.create(release=release, name=name)
    assert pipeline.run_check(check, worker="tests")
    check.refresh_from_db()
    return check
