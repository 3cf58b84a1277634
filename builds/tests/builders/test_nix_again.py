"""Building again with a real Nix: what is built, what differs, and what a build may only claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builds.builders.base import BuildRequest
from builds.builders.nix import NixBuilder
from builds.builders.nix_again import Different, _different, forget
from builds.tests.builders.flakes import NETBOOT, Flake, attribute

MakeRequest = Callable[..., BuildRequest]
STORE = "/nix/store/pqd2x17gq7rrfkin0imk77axsa4m201i"
CLAIM = f"derivation '{STORE}-a.drv' may not be deterministic: output '{STORE}-a' differs"
# What it needs comes out otherwise, and it makes nothing of that.
PART = "read id < /proc/sys/kernel/random/uuid; run mkdir $out; echo $id > $out/id"


def test_what_an_image_is_made_of_is_built_again_with_it(
    builder: NixBuilder, request_for: MakeRequest, tmp_path: Path
) -> None:
    request = request_for(NETBOOT)
    images = {"part": PART, "demo": NETBOOT}
    flake = Flake(tmp_path / "both", images, versions={"demo": "1"}, needs={"demo": ["part"]})
    source = type(request.pin)(f"{flake.write().ref}", {}, "", "", "1")
    request = BuildRequest(
        source, attribute("demo"), request.system, request.variant, request.log, request.cancelled
    )
    output = builder.build(request)

    again = builder.build_again([output.derivation], request)

    assert again.derivations == 2
    [different] = again.different
    assert different.first.name.endswith("-part")
    assert different.second is not None
    second = different.second
    assert (second / "id").read_text() != (different.first / "id").read_text()
    forget(again.different)
    assert not second.exists()


def test_build_that_claims_to_differ_is_not_believed(
    builder: NixBuilder, request_for: MakeRequest
) -> None:
    request = request_for(f"{NETBOOT}\necho \"error: {CLAIM} from '{STORE}-a.check'\"")
    output = builder.build(request)
    again = builder.build_again([output.derivation], request)
    assert (again.derivations, again.different) == (1, ())


def test_second_output_lies_beside_the_first_or_is_none() -> None:
    elsewhere = f"error: {CLAIM} from '{STORE}-b'"
    [found] = _different([elsewhere, f"error: builder failed\n{elsewhere}"])
    assert found == Different(f"{STORE}-a.drv", Path(f"{STORE}-a"), None)
