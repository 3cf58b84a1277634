"""An image's own list of what is inside is read within bounds; else the store is asked."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builds.builders import contents
from builds.builders.base import BadProduct, BuildRequest, Source
from builds.builders.nix import NixBuilder
from builds.builders.nix_recipe import _uri, nar_sha256
from builds.choices import System, Variant
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.builders.sinks import Memory

PLACE = f"/nix/store/{'1' * 32}-hello-2.12"
SHA256 = "ab" * 32


def registered(*lines: str) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def image(folder: Path, name: str, data: bytes) -> Path:
    (folder / "nix-support").mkdir()
    (folder / "nix-support" / name).write_bytes(data)
    return folder


def test_registration_gives_store_paths_with_hash_and_size(tmp_path: Path) -> None:
    lines = (PLACE, f"sha256:{SHA256}", "42", "", "2", "one", "two")
    [found] = contents.listed(image(tmp_path, contents.REGISTRATION, registered(*lines)))
    assert (found.name, found.version, found.place) == ("hello", "2.12", PLACE)
    assert (found.nar_sha256, found.size, found.built_with) == (SHA256, 42, False)


def packages(**changes: object) -> bytes:
    told = {"kind": "deb", "name": "libc6", "version": "1:2", "file": "libc6_2_amd64.deb"}
    return json.dumps({"packages": [told | {"sha256": SHA256} | changes]}).encode()


HOSTILE: dict[str, tuple[str, bytes]] = {
    "no gzip": (contents.REGISTRATION, b"x" * 100),
    "cut off": (contents.REGISTRATION, registered(PLACE)[:-9]),
    "ends early": (contents.REGISTRATION, registered(PLACE, f"sha256:{SHA256}", "42", "", "2")),
    "no path": (contents.REGISTRATION, registered("/etc/passwd", f"sha256:{SHA256}", "1", "", "0")),
    "no hash": (contents.REGISTRATION, registered(PLACE, "sha256:x", "1", "", "0")),
    "negative size": (contents.REGISTRATION, registered(PLACE, f"sha256:{SHA256}", "-1", "", "0")),
    "a bomb": (contents.REGISTRATION, gzip.compress(bytes(contents.MOST_TEXT + 1))),
    "no JSON": (contents.PACKAGES, b"{"),
    "deep JSON": (contents.PACKAGES, b"[" * 200_000),
    "no list": (contents.PACKAGES, b'{"packages": 7}'),
    "a path": (contents.PACKAGES, packages(file="../libc6.deb")),
    "markup": (contents.PACKAGES, packages(name="<script>")),
    "no digest": (contents.PACKAGES, packages(sha256="x")),
    "no text": (contents.PACKAGES, b"\xff"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_list_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(BadProduct):
        contents.listed(image(tmp_path, *HOSTILE[what]))


def test_too_many_are_refused(tmp_path: Path) -> None:
    one = json.loads(packages())["packages"][0]
    told = [one | {"file": f"{number}.deb"} for number in range(contents.MOST_COMPONENTS + 1)]
    data = json.dumps({"packages": told}).encode()
    with pytest.raises(BadProduct, match="are the most"):
        contents.listed(image(tmp_path, contents.PACKAGES, data))


def test_link_out_of_the_output_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(packages())
    (tmp_path / "out" / "nix-support").mkdir(parents=True)
    (tmp_path / "out" / "nix-support" / contents.PACKAGES).symlink_to(tmp_path / "secret")
    assert contents.listed(tmp_path / "out") == ()


def test_image_without_a_list_has_its_build_closure(
    builder: NixBuilder, request_for: Callable[..., BuildRequest]
) -> None:
    how = builder.build(request_for(NETBOOT)).how
    assert how is not None
    assert how.closure == "build"
    inside = [each for each in how.components if not each.built_with]
    recipes = [each for each in how.components if each.built_with]
    assert [each.name for each in inside] == ["demo"]
    assert inside[0].size is not None
    assert len(inside[0].nar_sha256) == 64
    assert {"demo", "tools"} <= {each.name for each in recipes}


def test_list_of_the_image_comes_first(
    builder: NixBuilder, request_for: Callable[..., BuildRequest]
) -> None:
    script = f"{NETBOOT}\necho '{packages().decode()}' > $out/nix-support/packages.json"
    how = builder.build(request_for(script)).how
    assert how is not None
    assert (how.closure, [each.name for each in how.components]) == ("image", ["libc6"])


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_inputs_are_as_they_were_taken_the_overridden_ones_too(
    builder: NixBuilder, sink: Memory, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "flake.nix").write_text("{ outputs = _: { }; }")
    git(other, "init", "-q", "-b", "main")
    git(other, "add", "flake.nix")
    git(other, "commit", "-qm", "one")
    revision = git(other, "rev-parse", "HEAD")
    declared = 'inputs.nixpkgs.url = "github:NixOS/nixpkgs";'
    flake = Flake(tmp_path / "flake", {"demo": NETBOOT}, {"demo": "1"}, inputs=declared).write()
    wish = Source(flake.ref, attribute("demo"), overrides={"nixpkgs": f"git+file://{other}"})
    pin = builder.pin(wish)

    how = builder.build(
        BuildRequest(pin, wish.attribute, System.X86_64, Variant.NETBOOT, sink, lambda: False)
    ).how

    assert how is not None
    [nixpkgs] = how.inputs
    assert (nixpkgs.name, nixpkgs.revision, nixpkgs.uri) == ("nixpkgs", revision, "git+file:")
    assert len(nar_sha256(nixpkgs.nar_hash)) == 64
    assert how.settings["substituters"] == []
    assert how.settings["sandbox-fallback"] is False


@pytest.mark.parametrize("form", ["to-sri", "to-base16", "to-base32"])
def test_hash_is_read_in_every_form_of_nix(form: str) -> None:
    words = ["--extra-experimental-features", "nix-command", "hash", form, "--type", "sha256"]
    done = subprocess.run(["nix", *words, SHA256], capture_output=True, text=True, check=True)
    written = done.stdout.strip()
    assert nar_sha256(written if form == "to-sri" else f"sha256:{written}") == SHA256
    assert nar_sha256(f"{written}x") == ""


@pytest.mark.parametrize(
    ("locked", "uri"),
    [
        (
            {"type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": "a" * 40},
            f"github:NixOS/nixpkgs/{'a' * 40}",
        ),
        (
            {"type": "git", "url": "https://me:token@example.org/x.git", "rev": "b" * 40},
            f"git+https://example.org/x.git?rev={'b' * 40}",
        ),
        (
            {"type": "tarball", "url": "https://example.org/x.tar.gz?token=secret"},
            "https://example.org/x.tar.gz",
        ),
        ({"type": "path", "path": "/home/me/secret"}, "path:"),
        ({"type": "tarball", "url": "file:///home/me/x.tar"}, "tarball:"),
        ({}, "unknown:"),
    ],
)
def test_uri_of_an_input_tells_no_secret(locked: dict[str, str], uri: str) -> None:
    assert _uri(locked) == uri
