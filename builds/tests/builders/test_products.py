"""The listing of what a build offers, as written by friend and foe."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds.builders.base import BadProduct
from builds.builders.products import (
    Listed,
    params_of_script,
    parse_listing,
    read_facts,
    read_products,
)
from builds.choices import Role, Variant

WORDS = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
PATHS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Z"], exclude_characters='"<>'), min_size=1
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "nix-support").mkdir()
    return tmp_path


def offer(output: Path, *lines: str) -> None:
    (output / "nix-support" / "hydra-build-products").write_text("\n".join(lines) + "\n")


def tarball(output: Path, name: str) -> str:
    (output / name).parent.mkdir(exist_ok=True)
    (output / name).write_text("t")
    return f"file tarball {output / name}"


def read(output: Path, variant: Variant = Variant.KEXEC_INSTALLER) -> list[str]:
    products = read_products(output, variant, [output], lambda _: None)
    return [product.name for product in products]


@given(WORDS, WORDS, PATHS)
def test_plain_and_quoted_paths_read_the_same(kind: str, subtype: str, path: str) -> None:
    expected = [Listed(kind, subtype, path)]
    assert list(parse_listing(f"{kind} {subtype} {path}\n")) == expected
    assert list(parse_listing(f'{kind}\t{subtype}  "{path}" index.html\n\n')) == expected


def test_quoted_path_may_hold_spaces() -> None:
    assert next(parse_listing('file iso "/nix/store/a b.iso"')).path == "/nix/store/a b.iso"


@given(st.text())
def test_any_listing_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadProduct):
        assert all(listed.path for listed in parse_listing(text))


def test_two_compressions_are_two_tarballs(output: Path) -> None:
    offer(output, tarball(output, "a.tar.gz"), tarball(output, "a.tar.xz"))
    assert read(output) == ["a.tar.gz", "a.tar.xz"]


def test_same_name_from_two_folders_is_refused(output: Path) -> None:
    offer(output, tarball(output, "one/a.tar.gz"), tarball(output, "two/a.tar.gz"))
    with pytest.raises(BadProduct, match=r"a\.tar\.gz is listed 2 times"):
        read(output)


def test_tarball_of_another_type_does_not_count(output: Path) -> None:
    offer(output, tarball(output, "a.tar.gz").replace("file", "doc"))
    with pytest.raises(BadProduct, match="offers no tarball, which kexec-installer needs"):
        read(output)


@pytest.mark.parametrize("name", ["ä.tar.gz", ".hidden", "a b.tar.gz", "a;b", "-x", "a$(id)"])
def test_name_that_is_not_plain_is_refused(output: Path, name: str) -> None:
    path = tarball(output, name).removeprefix("file tarball ")
    offer(output, f'file tarball "{path}"')
    with pytest.raises(BadProduct, match="has the name"):
        read(output)


def test_device_and_pipe_are_refused(output: Path) -> None:
    os.mkfifo(output / "pipe")
    offer(output, f"file tarball {output}/pipe")
    with pytest.raises(BadProduct, match="pipe is not a regular file"):
        read(output)


def test_path_that_climbs_out_is_refused(
    output: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("s")
    offer(output, f"file tarball {output}/../{outside.parent.name}/../{outside.parent.name}/secret")
    with pytest.raises(BadProduct, match="secret"):
        read(output)


def test_folder_with_the_same_beginning_is_not_the_output(output: Path) -> None:
    beside = output.parent / (output.name + "-beside")
    beside.mkdir()
    offer(output, tarball(beside, "a.tar.gz"))
    with pytest.raises(BadProduct, match="leads out of the output"):
        read(output)


def test_every_variant_names_the_role_it_lacks(output: Path) -> None:
    offer(output, "")
    for variant in Variant:
        with pytest.raises(BadProduct, match=f"which {variant} needs"):
            read(output, variant)


def test_iso_is_an_iso(output: Path) -> None:
    (output / "demo.iso").write_text("i")
    offer(output, f"file iso {output}/demo.iso")
    [product] = read_products(output, Variant.ISO, [output], lambda _: None)
    assert (product.role, product.size) == (Role.ISO, 1)


@pytest.mark.parametrize(
    ("script", "params"),
    [
        ("#!ipxe\nkernel bzImage init=/i initrd=x quiet ${cmdline}\nboot", "init=/i quiet"),
        ("#!ipxe\nkernel Image", ""),
        ("kernel\n", ""),
        ("", ""),
        ("#!ipxe\n  kernel k a  b\nkernel other c\n", "a b"),
    ],
)
def test_kernel_parameters_are_read_from_the_script(script: str, params: str) -> None:
    assert params_of_script(script) == params


@given(st.text())
def test_any_script_is_read(script: str) -> None:
    params_of_script(script)


@pytest.mark.parametrize("text", ["", "[]", '"x"', '{"version": 3}', '{"version": "../x"}', "{"])
def test_broken_facts_are_refused(output: Path, text: str) -> None:
    (output / "nix-support" / "image.json").write_text(text)
    with pytest.raises(BadProduct, match=r"image\.json"):
        read_facts(output)


def test_facts_may_say_only_a_part(output: Path) -> None:
    (output / "nix-support" / "image.json").write_text(json.dumps({"kernel_version": "6.12"}))
    facts = read_facts(output)
    assert (facts.version, facts.kernel_version) == ("", "6.12")
