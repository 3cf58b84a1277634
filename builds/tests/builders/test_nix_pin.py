"""A real Nix pins: folders, git repositories, overrides, versions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builds.builders.base import BuilderUnavailable, BuildRequest, EvaluationFailed, Pin, Source
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import System, Variant
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.builders.sinks import Memory

DEMO = attribute("demo")


@pytest.fixture
def flake(tmp_path: Path) -> Flake:
    return Flake(tmp_path / "flake", {"demo": NETBOOT}, versions={"demo": "26.05.1"}).write()


@pytest.fixture
def build(builder: NixBuilder, sink: Memory) -> Callable[[Pin], str]:
    """Build a pin; gives what its kernel holds."""

    def kernel_of(pin: Pin) -> str:
        request = BuildRequest(pin, DEMO, System.X86_64, Variant.NETBOOT, sink, lambda: False)
        return builder.build(request).products[0].path.read_text().strip()

    return kernel_of


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def forget(pin: Pin) -> None:
    """Take a pinned folder's copy out of the Nix store."""
    asked = [*("nix", "--extra-experimental-features", "nix-command flakes")]
    expression = f'(builtins.getFlake "{pin.flake}").outPath'
    path = subprocess.run(
        [*asked, "eval", "--raw", "--expr", expression],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    subprocess.run([*asked, "store", "delete", path], capture_output=True, check=True)


def other_kernel(flake: Flake, text: str) -> None:
    script = flake.folder / "scripts" / "demo.sh"
    script.write_text(script.read_text().replace("echo kernel", f"echo {text}"))


def test_folder_has_the_nar_hash_as_its_revision(builder: NixBuilder, flake: Flake) -> None:
    pin = builder.pin(Source(flake.ref, DEMO))
    assert len(pin.revision) == 40
    assert int(pin.revision, 16) > 0
    assert pin.nar_hash.startswith("sha256-")
    assert pin.flake == f"{flake.ref}?narHash={pin.nar_hash}"
    assert pin.version == "26.05.1"


def test_pinned_folder_is_built_as_it_was_although_it_has_changed(
    builder: NixBuilder, flake: Flake, build: Callable[[Pin], str]
) -> None:
    pin = builder.pin(Source(flake.ref, DEMO))
    other_kernel(flake, "changed")
    assert build(pin) == "kernel"
    assert builder.pin(Source(flake.ref, DEMO)).revision != pin.revision


def test_pinned_folder_that_is_gone_from_the_store_and_changed_is_refused(
    builder: NixBuilder, flake: Flake, build: Callable[[Pin], str]
) -> None:
    pin = builder.pin(Source(flake.ref, DEMO))
    forget(pin)
    other_kernel(flake, "changed")
    with pytest.raises(EvaluationFailed, match="changed since it was pinned"):
        build(pin)


def test_other_checkout_times_of_the_same_folder_do_not_matter(
    builder: NixBuilder, flake: Flake, build: Callable[[Pin], str]
) -> None:
    pin = builder.pin(Source(flake.ref, DEMO))
    forget(pin)
    (flake.folder / "flake.nix").touch()
    assert build(pin) == "kernel"
    assert builder.pin(Source(flake.ref, DEMO)) == pin


def test_git_repository_is_pinned_at_its_revision(
    builder: NixBuilder, flake: Flake, build: Callable[[Pin], str]
) -> None:
    git(flake.folder, "init", "-q")
    git(flake.folder, "add", ".")
    git(flake.folder, "commit", "-qm", "one")
    first = git(flake.folder, "rev-parse", "HEAD")
    pin = builder.pin(Source(f"git+file://{flake.folder}", DEMO))
    assert pin.revision == first
    assert first in pin.flake

    other_kernel(flake, "second")
    git(flake.folder, "commit", "-qam", "two")
    assert build(pin) == "kernel"


def test_git_tree_with_uncommitted_changes_is_pinned_by_its_content(
    builder: NixBuilder, flake: Flake, build: Callable[[Pin], str]
) -> None:
    git(flake.folder, "init", "-q")
    git(flake.folder, "add", ".")
    git(flake.folder, "commit", "-qm", "one")
    other_kernel(flake, "uncommitted")
    pin = builder.pin(Source(f"git+file://{flake.folder}", DEMO))
    assert pin.nar_hash in pin.flake
    other_kernel(flake, "later")
    assert build(pin) == "uncommitted"


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A flake that others take as their input `parts`."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "flake.nix").write_text('{ outputs = { self }: { version = "from-parts"; }; }')
    return folder


def with_parts(tmp_path: Path, ref: str = "path:/nonexistent/parts") -> Flake:
    return Flake(
        tmp_path / "flake", {"demo": NETBOOT}, inputs=f'inputs.parts.url = "{ref}";'
    ).write()


def test_override_is_pinned_and_can_name_the_revision(
    builder: NixBuilder, tmp_path: Path, parts: Path, build: Callable[[Pin], str]
) -> None:
    flake = with_parts(tmp_path)
    source = Source(flake.ref, DEMO, {"parts": f"path:{parts}"}, revision_input="parts")
    pin = builder.pin(source)
    alone = builder.pin(Source(f"path:{parts}", "version"))
    assert pin.revision == alone.revision
    assert pin.overrides == {"parts": alone.flake}
    (parts / "flake.nix").write_text('{ outputs = { self }: { version = "newer"; }; }')
    assert build(pin) == "kernel"
    assert builder.pin(source).revision != pin.revision


def test_input_fixed_by_the_lock_file_can_name_the_revision(
    builder: NixBuilder, tmp_path: Path, parts: Path
) -> None:
    flake = with_parts(tmp_path, f"path:{parts}")
    command = ["nix", "--extra-experimental-features", "nix-command flakes", "flake", "lock"]
    subprocess.run([*command, flake.ref], capture_output=True, check=True)
    pin = builder.pin(Source(flake.ref, DEMO, revision_input="parts"))
    assert pin.revision == builder.pin(Source(f"path:{parts}", "version")).revision


def test_input_that_nothing_fixes_is_refused(
    builder: NixBuilder, tmp_path: Path, parts: Path
) -> None:
    flake = with_parts(tmp_path, f"path:{parts}")
    with pytest.raises(EvaluationFailed, match="Nothing fixes the flake's input parts"):
        builder.pin(Source(flake.ref, DEMO))


def test_unknown_revision_input_is_named(builder: NixBuilder, flake: Flake) -> None:
    with pytest.raises(EvaluationFailed, match="no input nixpkgs"):
        builder.pin(Source(flake.ref, DEMO, revision_input="nixpkgs"))


def test_image_without_version_is_named_by_date_and_revision(
    builder: NixBuilder, tmp_path: Path
) -> None:
    flake = Flake(tmp_path / "flake", {"demo": NETBOOT}).write()
    pin = builder.pin(Source(flake.ref, DEMO))
    date, _, revision = pin.version.partition(".")
    assert (len(date), revision) == (8, pin.revision[:7])
    assert date.startswith("20")


def test_version_that_cannot_stand_in_a_url_is_refused(builder: NixBuilder, tmp_path: Path) -> None:
    flake = Flake(tmp_path / "flake", {"demo": NETBOOT}, versions={"demo": "../up"}).write()
    with pytest.raises(EvaluationFailed, match=r"'\.\./up'"):
        builder.pin(Source(flake.ref, DEMO))


def test_unknown_folder_is_refused(builder: NixBuilder) -> None:
    with pytest.raises(EvaluationFailed, match="/nonexistent/flake"):
        builder.pin(Source("path:/nonexistent/flake", DEMO))


def test_syntax_error_is_shown_with_its_place(builder: NixBuilder, flake: Flake) -> None:
    (flake.folder / "flake.nix").write_text("{ outputs = { self }: {")
    with pytest.raises(EvaluationFailed, match="syntax error") as failed:
        builder.pin(Source(flake.ref, DEMO))
    assert "flake.nix" in failed.value.excerpt


def test_broken_attribute_is_named(builder: NixBuilder, flake: Flake) -> None:
    with pytest.raises(EvaluationFailed, match=r"no attribute packages\.\S+\.absent;"):
        builder.pin(Source(flake.ref, attribute("absent")))


def test_server_that_cannot_be_reached_is_worth_a_retry() -> None:
    builder = NixBuilder(NixSettings(options={"download-attempts": "1"}))
    with pytest.raises(BuilderUnavailable, match="could not fetch") as unreachable:
        builder.pin(Source("http://127.0.0.1:9/flake.tar.gz", DEMO))
    assert unreachable.value.retry


def test_ref_that_looks_like_an_option_is_no_option(builder: NixBuilder) -> None:
    with pytest.raises(EvaluationFailed):
        builder.pin(Source("--help", DEMO))
