"""Hostile channels: what an admin or the catalogue is to build is refused where it could act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.catalogue import CatalogueError, load
from builds.choices import Standing
from builds.models import Actor, Channel, Target, give_standing
from builds.models.flake import flake_inputs, flake_ref, is_of_this_machine
from builds.tests.attack.corpus import Row, refused, rows, wrong
from builds.tests.factories import UserFactory

pytestmark = pytest.mark.usefixtures("silence")


def test_channels(db: None) -> None:
    def is_right(row: Row) -> bool:
        channel = Channel(name=row["name"], title="x", flake="path:images/mini")
        return refused(channel.full_clean, ValidationError, "name")

    assert wrong("channels", is_right) == []
    Channel(name="demo", title="x", flake="path:images/mini").full_clean()


def test_flake_refs(db: None, tmp_path: Path) -> None:
    """Neither a form nor the catalogue takes them, and Nix is not handed an option."""
    catalogue = tmp_path / "catalogue.toml"

    def is_right(row: Row) -> bool:
        ref = row["ref"]
        channel = Channel(name="demo", title="x", flake=ref)
        by_form = refused(channel.full_clean, ValidationError, "flake")
        as_input = refused(lambda: flake_inputs({"nixpkgs": ref}), ValidationError)
        return by_form and as_input and refused(lambda: flake_ref(ref), ValidationError)

    assert wrong("flakes", is_right) == []
    for ref in (
        "github:NixOS/nixpkgs/nixos-unstable",
        "path:images/mini",
        "git+https://x.y/z?ref=a",
    ):
        flake_ref(ref)
    for ref in ("--impure", "path:../x", "/etc"):
        catalogue.write_text(
            f'[channels.demo]\ntitle = "x"\nflake = "{ref}"\nattribute = "a"\n'
            'systems = ["x86_64-linux"]\nvariants = ["netboot"]\nslot = "Sunday 03:00"\n'
        )
        assert refused(lambda: load(catalogue), CatalogueError, "flake")


def test_flakes_of_the_machine(client: Any, db: None) -> None:
    """Who has only the web names no files of the machine; an admin's form is refused."""
    assert wrong("flakes_of_the_machine", lambda row: is_of_this_machine(row["ref"])) == []
    user = UserFactory(username="ann")
    give_standing(user, Standing.ADMIN, by=Actor("test"), at=timezone.now())
    client.force_login(type(user).objects.get(pk=user.pk))
    fields = {
        "name": "mine",
        "title": "x",
        "position": 0,
        "builder": "nix",
        "overrides": "{}",
        "checks": "[]",
        "checks_after": "[]",
        "slot_weekday": 6,
        "slot_time": "03:00",
        "keep_last": 1,
        "keep_days": 1,
        "targets-TOTAL_FORMS": 0,
        "targets-INITIAL_FORMS": 0,
    }
    for row in rows("flakes_of_the_machine"):
        client.post("/admin/builds/channel/add/", {**fields, "flake": row["ref"]})
        assert not Channel.objects.exists(), row
        both = {"flake": "path:images/mini", "overrides": f'{{"nixpkgs": "{row["ref"]}"}}'}
        client.post("/admin/builds/channel/add/", {**fields, **both})
        assert not Channel.objects.exists(), row
    client.post("/admin/builds/channel/add/", {**fields, "flake": "path:images/mini"})
    assert Channel.objects.get().flake == "path:images/mini"


def test_attributes() -> None:
    def is_right(row: Row) -> bool:
        target = Target(system="x86_64-linux", variant="netboot", attribute=row["attribute"])
        return refused(
            lambda: target.clean_fields(exclude=["channel"]), ValidationError, "attribute"
        )

    assert wrong("attributes", is_right) == []


def test_inputs() -> None:
    def is_right(row: Row) -> bool:
        refs = {row["name"]: "github:NixOS/nixpkgs"}
        return refused(lambda: flake_inputs(refs), ValidationError)

    assert wrong("inputs", is_right) == []
