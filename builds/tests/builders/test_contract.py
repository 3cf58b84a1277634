"""What every builder must do, proven on nix with a real Nix, and on hydra with one's stand-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

import pytest

from builds.builders.base import (
    BadProduct,
    BuildCancelled,
    Builder,
    BuilderUnavailable,
    BuildRequest,
    CancelSignal,
    EvaluationFailed,
    Source,
    never,
)
from builds.builders.hydra import HydraBuilder, HydraSettings
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import Role, Stage, System, Variant
from builds.tests.builders import hydra_server
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.builders.hydra_server import Hydra, Made
from builds.tests.builders.sinks import Memory

LOOPBACK = ip_network("127.0.0.0/8")
SCRIPT = b"#!ipxe\nkernel bzImage init=/nix/store/x/init initrd=initrd loglevel=4 ${cmdline}\n"
FILES = {
    ("kernel", "bzImage"): b"kernel\n",
    ("initrd", "initrd"): b"initrd\n",
    ("ipxe", "netboot.ipxe"): SCRIPT,
}
JOB = "nixos.netboot.x86_64-linux"


class Maker(Protocol):
    """A builder and its source, which a test can change."""

    builder: Builder
    absent: Builder
    source: Source
    nowhere: Source

    def offer(self, *, without: str = "", empty: str = "", slow: bool = False) -> None:
        """Let the source's image be a netboot, whole or lacking something."""


class NixMaker:
    def __init__(self, folder: Path) -> None:
        self.builder: Builder = NixBuilder(NixSettings(offline=True))
        self.absent: Builder = NixBuilder(NixSettings(program="no-such-nix"))
        self._folder = folder / "flake"
        self.source = Source(f"path:{self._folder}", attribute("demo"))
        self.nowhere = Source(f"path:{self._folder}", attribute("nowhere"))

    def offer(self, *, without: str = "", empty: str = "", slow: bool = False) -> None:
        script = NETBOOT.replace(f"product {without} ", ": ") if without else NETBOOT
        script = script.replace(f"echo {empty} >", ": >") if empty else script
        script = f"{script}\nrun sleep 60" if slow else script
        Flake(self._folder, {"demo": script}, versions={"demo": "26.05.demo"}).write()


class HydraMaker:
    def __init__(self, folder: Path, hydra: Hydra) -> None:
        self.hydra = hydra
        settings = HydraSettings(folder / "downloads", (LOOPBACK,))
        self.builder: Builder = HydraBuilder(settings)
        self.absent: Builder = self.builder
        self.source = Source(f"{hydra.address}/job/nixos/release-26.05", JOB)
        self.nowhere = Source(f"{hydra.address}/job/nixos/release-26.05", "nixos.nowhere")

    def offer(self, *, without: str = "", empty: str = "", slow: bool = False) -> None:
        number = len(self.hydra.builds) + 1
        files = {key: data for key, data in FILES.items() if key[0] != without}
        files = {key: b"" if key[0] == empty else data for key, data in files.items()}
        self.hydra.pause = 60 if slow else 0
        self.hydra.revisions[number] = f"{number:040x}"
        self.hydra.builds.append(Made(number, JOB, files, [number]))


@pytest.fixture(params=["nix", "hydra"])
def maker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    if request.param == "nix":
        yield NixMaker(tmp_path)
        return
    with hydra_server.serving() as hydra:
        yield HydraMaker(tmp_path, hydra)


def request_for(maker: Maker, sink: Memory, cancelled: CancelSignal = never) -> BuildRequest:
    pin = maker.builder.pin(maker.source)
    system, variant = System.X86_64, Variant.NETBOOT
    return BuildRequest(pin, maker.source.attribute, system, variant, sink, cancelled)


def test_good_build_gives_each_role_with_its_bytes(maker: Maker, sink: Memory) -> None:
    maker.offer()
    output = maker.builder.build(request_for(maker, sink))

    files = {product.role: product for product in output.products}
    assert set(files) == {Role.KERNEL, Role.INITRD, Role.IPXE}
    assert files[Role.KERNEL].path.read_bytes() == b"kernel\n"
    assert all(each.size == each.path.stat().st_size for each in files.values())
    assert output.kernel_params.startswith("init=/nix/store/x/init ")
    assert "initrd=" not in output.kernel_params
    assert output.store_path.startswith("/nix/store/")
    assert output.derivation.endswith(".drv")
    assert output.version
    assert output.builder_version
    assert sink.stages == [Stage.EVALUATE, Stage.BUILD][: len(sink.stages)]


def test_pin_stays_until_the_source_moves(maker: Maker) -> None:
    maker.offer()
    first, second = maker.builder.pin(maker.source), maker.builder.pin(maker.source)
    maker.offer()
    third = maker.builder.pin(maker.source)

    assert first == second
    assert len(first.revision) == len(third.revision) == 40
    assert first.revision != third.revision


def test_pinned_build_is_the_same_after_the_source_moved(maker: Maker, sink: Memory) -> None:
    maker.offer()
    request = request_for(maker, sink)
    if isinstance(maker, HydraMaker):  # a folder that changes can't be built as it was
        maker.offer(without="initrd")
    assert maker.builder.build(request).products


@pytest.mark.parametrize("role", [Role.KERNEL, Role.INITRD, Role.IPXE])
def test_missing_role_is_refused_for_good(maker: Maker, sink: Memory, role: Role) -> None:
    maker.offer(without=role)
    with pytest.raises(BadProduct, match=f"offers no {role}, which netboot needs") as caught:
        maker.builder.build(request_for(maker, sink))
    assert not caught.value.retry


def test_empty_file_is_refused_for_good(maker: Maker, sink: Memory) -> None:
    maker.offer(empty="initrd")
    with pytest.raises(BadProduct, match=r"empty \(0 bytes\)") as caught:
        maker.builder.build(request_for(maker, sink))
    assert not caught.value.retry


def test_what_is_not_there_fails_at_the_pin(maker: Maker) -> None:
    maker.offer()
    with pytest.raises(EvaluationFailed) as caught:
        maker.builder.pin(maker.nowhere)
    assert not caught.value.retry


def test_cancelled_build_ends_within_seconds(maker: Maker, sink: Memory) -> None:
    maker.offer(slow=True)
    request = request_for(maker, sink, lambda: bool(sink.lines))
    begun = time.monotonic()
    with pytest.raises(BuildCancelled):
        maker.builder.build(request)
    assert time.monotonic() - begun < 20


def test_builder_that_is_away_may_be_tried_again(maker: Maker) -> None:
    maker.offer()
    source = maker.source
    if isinstance(maker, HydraMaker):
        source = Source("http://127.0.0.1:9/job/nixos/release-26.05", JOB)
    with pytest.raises(BuilderUnavailable) as caught:
        maker.absent.pin(source)
    assert caught.value.retry
