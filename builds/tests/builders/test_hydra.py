"""The hydra builder's own: downloads that break off, digests, addresses, evaluations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builds.builders.base import (
    BadProduct,
    BuilderError,
    BuilderUnavailable,
    BuildOutput,
    BuildRequest,
    DerivationFailed,
    EvaluationFailed,
    Source,
)
from builds.builders.hydra import HydraBuilder, HydraSettings
from builds.choices import Role, System, Variant
from builds.tests.builders import hydra_server
from builds.tests.builders.hydra_server import Hydra, Made
from builds.tests.builders.sinks import Memory
from builds.tests.builders.test_contract import FILES, JOB, LOOPBACK

MIB = 1024 * 1024
REVISION = "b18a4b9" + "0" * 33
LARGE = os.urandom(3 * MIB)
INITRD = ("initrd", "initrd")


@pytest.fixture
def hydra() -> Iterator[Hydra]:
    """With one good build of a netboot, of evaluations 7 and 9."""
    with hydra_server.serving() as server:
        server.revisions = {7: REVISION, 9: REVISION}
        server.builds = [Made(123, JOB, FILES | {INITRD: LARGE}, [9, 7])]
        yield server


@pytest.fixture
def builder(tmp_path: Path) -> HydraBuilder:
    return HydraBuilder(HydraSettings(tmp_path / "downloads", (LOOPBACK,)))


def source(hydra: Hydra) -> Source:
    return Source(f"{hydra.address}/job/nixos/release-26.05", JOB)


def build(builder: HydraBuilder, hydra: Hydra, sink: Memory) -> BuildOutput:
    pin = builder.pin(source(hydra))
    return builder.build(
        BuildRequest(pin, JOB, System.X86_64, Variant.NETBOOT, sink, lambda: False)
    )


def initrd(output: BuildOutput) -> bytes:
    return next(each.path.read_bytes() for each in output.products if each.role == Role.INITRD)


def downloads(hydra: Hydra) -> list[str]:
    """The ranges that were asked for of the initrd."""
    return [told for path, told in hydra.asked if path.endswith("/download/2/initrd")]


def test_pin_is_the_evaluation_that_made_the_build(builder: HydraBuilder, hydra: Hydra) -> None:
    pin = builder.pin(source(hydra))
    assert pin.flake == pin.source == f"{hydra.address}/eval/7"
    assert pin.revision == REVISION
    assert pin.overrides == {"nixpkgs": f"github:NixOS/nixpkgs/{REVISION}"}
    assert pin.version == "20260820.b18a4b9"


def test_version_is_that_of_nixos_where_the_name_tells_it(
    builder: HydraBuilder, hydra: Hydra
) -> None:
    hydra.builds[0].nix_name = "nixos-minimal-26.05.20260820.b18a4b9-x86_64-linux.iso"
    assert builder.pin(source(hydra)).version == "26.05.20260820.b18a4b9"


def test_flake_of_a_jobset_names_the_revision(builder: HydraBuilder, hydra: Hydra) -> None:
    hydra.revisions, hydra.flakes = {}, {7: f"github:example/images/{'c' * 40}?narHash=x"}
    pin = builder.pin(source(hydra))
    assert pin.revision == "c" * 40


def test_input_that_is_not_there_is_named(builder: HydraBuilder, hydra: Hydra) -> None:
    wrong = Source(source(hydra).flake, JOB, revision_input="nixpkg")
    with pytest.raises(EvaluationFailed, match="has no input nixpkg"):
        builder.pin(wrong)


@pytest.mark.parametrize("flake", ["https://hydra.example.org", "hydra", "https://h/job/a b"])
def test_address_that_is_no_jobset_is_refused(builder: HydraBuilder, flake: str) -> None:
    with pytest.raises(EvaluationFailed, match="is no job of a Hydra"):
        builder.pin(Source(flake, JOB))


def test_output_says_which_build_it_was_and_artifacts_have_our_names(
    builder: HydraBuilder, hydra: Hydra, sink: Memory
) -> None:
    output = build(builder, hydra, sink)
    assert output.source == f"{hydra.address}/build/123"
    assert output.builder_version == "Hydra at 127.0.0.1"
    assert output.kernel_version == "6.12.57"
    assert (output.closure_size, output.sandboxed) == (None, None)
    assert {product.name for product in output.products} == {
        "bzImage-x86_64-linux",
        "initrd-x86_64-linux",
        "netboot-x86_64-linux.ipxe",
    }
    total = sum(product.size for product in output.products)
    last = sink.progresses[-1]
    assert (last.bytes_done, last.bytes_expected) == (total, total)


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_download_that_breaks_off_is_gone_on_with(
    builder: HydraBuilder, hydra: Hydra, sink: Memory, knows_ranges: bool
) -> None:
    hydra.knows_ranges = knows_ranges
    hydra.breaks_after = [7, MIB]  # the kernel whole, then the initrd in two

    output = build(builder, hydra, sink)

    assert initrd(output) == LARGE
    assert downloads(hydra) == ["", f"bytes={MIB}-"]


def test_next_attempt_goes_on_where_the_last_one_ended(
    builder: HydraBuilder, hydra: Hydra, sink: Memory
) -> None:
    hydra.knows_ranges = True
    hydra.answers = [200, 200, 200, 200, 200, 200, 200]
    hydra.breaks_after = [7, MIB, MIB, MIB, MIB, MIB]
    with pytest.raises(BuilderUnavailable, match="broke off 5 times") as caught:
        build(builder, hydra, sink)
    assert caught.value.retry
    hydra.asked.clear()

    assert initrd(build(builder, hydra, sink)) == LARGE

    assert downloads(hydra) == [f"bytes={MIB}-"]
    assert f"going on with initrd at byte {MIB}" in sink.lines


def test_other_bytes_than_hydra_says_are_refused_and_removed(
    builder: HydraBuilder, hydra: Hydra, sink: Memory, tmp_path: Path
) -> None:
    hydra.builds[0].digests = {"initrd": "0" * 64}
    with pytest.raises(BuilderUnavailable, match="it should be 0000"):
        build(builder, hydra, sink)
    assert not list((tmp_path / "downloads").glob("*/2"))


def test_more_bytes_than_hydra_says_are_not_read_to_their_end(
    builder: HydraBuilder, hydra: Hydra, sink: Memory
) -> None:
    hydra.builds[0].sizes = {"initrd": MIB}
    with pytest.raises(BadProduct, match=f"gives {MIB + 1} bytes or more; it should be {MIB}"):
        build(builder, hydra, sink)


def test_product_without_a_digest_is_refused(
    builder: HydraBuilder, hydra: Hydra, sink: Memory
) -> None:
    hydra.builds[0].digests = {"initrd": None}
    with pytest.raises(BadProduct, match="no SHA-256 of initrd"):
        build(builder, hydra, sink)


STATES: dict[str, tuple[dict[str, Any], type[BuilderError]]] = {
    "not finished": ({"finished": 0}, BuilderUnavailable),
    "failed": ({"status": 1}, DerivationFailed),
    "for another system": ({"system": "aarch64-linux"}, BadProduct),
}


@pytest.mark.parametrize("case", STATES)
def test_build_of_the_evaluation_that_is_no_good_is_refused(
    builder: HydraBuilder, hydra: Hydra, sink: Memory, case: str
) -> None:
    how, error = STATES[case]
    pin = builder.pin(source(hydra))
    for name, value in how.items():
        setattr(hydra.builds[0], name, value)
    request = BuildRequest(pin, JOB, System.X86_64, Variant.NETBOOT, sink, lambda: False)
    with pytest.raises(error):
        builder.build(request)


def test_busy_server_may_be_asked_again_and_a_closed_one_not(
    builder: HydraBuilder, hydra: Hydra
) -> None:
    hydra.answers = [503]
    with pytest.raises(BuilderUnavailable, match="answers 503"):
        builder.pin(source(hydra))
    hydra.answers = [403]
    with pytest.raises(EvaluationFailed, match="answers 403"):
        builder.pin(source(hydra))


def test_inward_address_is_asked_only_where_a_setting_allows_it(
    tmp_path: Path, hydra: Hydra
) -> None:
    with pytest.raises(EvaluationFailed, match="HYDRA_NETWORKS"):
        HydraBuilder(HydraSettings(tmp_path)).pin(source(hydra))
    assert hydra.asked == []


@pytest.mark.parametrize("elsewhere", ["http://10.0.0.1/x", "http://8.8.8.8/x", "file:///etc"])
def test_redirect_leads_nowhere_that_is_not_allowed(
    builder: HydraBuilder, hydra: Hydra, sink: Memory, elsewhere: str
) -> None:
    hydra.elsewhere = elsewhere
    with pytest.raises(EvaluationFailed, match="is not asked"):
        build(builder, hydra, sink)


def test_answer_of_another_shape_is_told(builder: HydraBuilder, hydra: Hydra) -> None:
    hydra.builds[0].nix_name = "a b"
    with pytest.raises(BuilderUnavailable, match="does not describe a build as Hydra does"):
        builder.pin(source(hydra))
