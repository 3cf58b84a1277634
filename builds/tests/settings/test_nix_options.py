"""Remote builders, other platforms and options of Nix: taken where right, refused where wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from environs import Env

from builds.builders.base import (
    BuilderUnavailable,
    BuildOutput,
    BuildRequest,
    Source,
)
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import System, Variant
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.builders.sinks import Memory
from portal.env import BadSetting, Environment
from portal.nix import nix_options


def options(monkeypatch: pytest.MonkeyPatch, **values: str) -> Mapping[str, str]:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return nix_options(Environment(Env()))


def test_nothing_given_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options(monkeypatch) == {}


def test_good_values_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = "ssh://mac x86_64-linux,aarch64-linux /key 4 2 kvm - - ; nix@arm.lan aarch64-linux"
    found = options(
        monkeypatch,
        NIX_BUILDERS=machines,
        NIX_EXTRA_PLATFORMS="aarch64-linux  riscv64-linux",
        NIX_OPTIONS="cores=2 extra-substituters='https://a https://b'",
    )
    assert found == {
        "builders": machines,
        "extra-platforms": "aarch64-linux riscv64-linux",
        "cores": "2",
        "extra-substituters": "https://a https://b",
    }
    assert options(monkeypatch, NIX_BUILDERS="@/etc/nix/machines")["builders"].startswith("@")


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("NIX_BUILDERS", "@machines", "absolute path"),
        ("NIX_BUILDERS", "http://mac x86_64-linux", "neither a host"),
        ("NIX_BUILDERS", "--help", "neither a host"),
        ("NIX_BUILDERS", "ssh://mac x86_64", "no system"),
        ("NIX_BUILDERS", "ssh://mac x86_64-linux - many", "wants a number"),
        ("NIX_BUILDERS", "ssh://mac x86_64-linux - 1 1 a b c d", "more than 8 fields"),
        ("NIX_EXTRA_PLATFORMS", "arm", "no system"),
        ("NIX_OPTIONS", "cores", "name=value"),
        ("NIX_OPTIONS", "--cores=1", "name=value"),
        ("NIX_OPTIONS", "sandbox=false", "the portal's"),
        ("NIX_OPTIONS", "cores='1", "can't be read"),
    ],
)
def test_malformed_values_stop_the_start_with_their_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, word: str
) -> None:
    with pytest.raises(BadSetting, match=f"setting {name}: .*{word}"):
        options(monkeypatch, **{name: value})


def test_emulated_platform_is_built_by_the_nix_of_this_machine(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The derivation asks for a foreign system; its program is this machine's, as under binfmt."""
    flake = Flake(tmp_path_factory.mktemp("flake"), {"netboot": NETBOOT}).write()
    text = (flake.folder / "flake.nix").read_text()
    foreign = text.replace('        system = "', '        system = "riscv64-linux"; was = "')
    (flake.folder / "flake.nix").write_text(foreign)

    with pytest.raises(BuilderUnavailable, match="can't build for that system") as refused:
        build(NixBuilder(NixSettings(offline=True)), flake)
    output = build(
        NixBuilder(NixSettings(offline=True, options={"extra-platforms": "riscv64-linux"})), flake
    )

    assert "riscv64-linux" in f"{refused.value} {refused.value.excerpt}"
    assert {product.name for product in output.products} >= {"bzImage-demo", "initrd-demo"}


def build(builder: NixBuilder, flake: Flake) -> BuildOutput:
    pin = builder.pin(Source(flake.ref, attribute("netboot")))
    request = BuildRequest(
        pin, attribute("netboot"), System.X86_64, Variant.NETBOOT, Memory(), lambda: False
    )
    return builder.build(request)
