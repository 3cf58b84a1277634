"""A real Nix builds; what the builder gives, tells and says of failures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builds.builders.base import (
    BadProduct,
    BuilderUnavailable,
    BuildRequest,
    DerivationFailed,
    EvaluationFailed,
    Source,
)
from builds.builders.nix import NixBuilder
from builds.builders.nix_command import NixSettings
from builds.choices import Role, Stage, System, Variant
from builds.tests.builders.flakes import NETBOOT, Flake, attribute
from builds.tests.builders.sinks import Memory

Requests = Callable[..., BuildRequest]


def test_good_build_gives_every_field(
    builder: NixBuilder, request_for: Requests, sink: Memory
) -> None:
    facts = '{"version": "26.05.1.abc", "kernel_version": "6.12.9"}'
    script = f"{NETBOOT} echo '{facts}' > $out/nix-support/image.json"
    output = builder.build(request_for(script))

    assert {product.role: product.name for product in output.products} == {
        Role.KERNEL: "bzImage-demo",
        Role.INITRD: "initrd-demo",
        Role.IPXE: "netboot-demo.ipxe",
    }
    assert all(product.size == product.path.stat().st_size > 0 for product in output.products)
    assert output.derivation.endswith("-demo.drv")
    assert output.store_path.startswith("/nix/store/")
    assert (output.closure_size or 0) > sum(product.size for product in output.products)
    assert (output.version, output.kernel_version) == ("26.05.1.abc", "6.12.9")
    assert output.kernel_params == "init=/nix/store/x/init nohibernate loglevel=4"
    assert output.sandboxed
    assert output.builder_version.startswith("nix (Nix) 2.")
    assert sink.stages == [Stage.EVALUATE, Stage.BUILD]


def test_image_without_facts_has_the_version_of_its_pin(
    builder: NixBuilder, request_for: Requests
) -> None:
    output = builder.build(request_for(NETBOOT))
    assert (output.version, output.kernel_version) == ("26.05.demo", "")


def test_building_again_gives_the_same_output(builder: NixBuilder, request_for: Requests) -> None:
    request = request_for(NETBOOT)
    assert builder.build(request) == builder.build(request)


def test_tarball_variant_needs_only_a_tarball(builder: NixBuilder, request_for: Requests) -> None:
    script = "run mkdir -p $out; echo t > $out/demo.tar.gz; product tarball $out/demo.tar.gz"
    output = builder.build(request_for(script, variant=Variant.KEXEC_INSTALLER))
    assert [product.name for product in output.products] == ["demo.tar.gz"]
    assert output.kernel_params == ""


def test_progress_counts_a_chain_of_derivations(
    builder: NixBuilder, sink: Memory, tmp_path: Path
) -> None:
    steps = {f"step{number}": "echo done > $out" for number in range(3)}
    flake = Flake(
        tmp_path / "flake",
        {**steps, "demo": NETBOOT},
        needs={"step1": ["step0"], "step2": ["step1"], "demo": ["step2"]},
    ).write()
    pin = builder.pin(Source(flake.ref, attribute("demo")))
    builder.build(
        BuildRequest(pin, attribute("demo"), System.X86_64, Variant.NETBOOT, sink, lambda: False)
    )
    done = [progress.done for progress in sink.progresses]
    assert done == sorted(done)
    assert (sink.progresses[-1].done, sink.progresses[-1].expected) == (4, 4)
    assert sink.progresses[-1].running == 0


def test_log_lines_arrive_while_the_build_runs(
    builder: NixBuilder, request_for: Requests, sink: Memory
) -> None:
    builder.build(request_for("echo first\nrun sleep 1\necho second\n" + NETBOOT))
    assert sink.times["demo> second"] - sink.times["demo> first"] > 0.8


def test_any_bytes_and_lines_of_any_length_pass(
    builder: NixBuilder, request_for: Requests, sink: Memory
) -> None:
    script = r"""
    printf 'a\377b \033[31mred\033[0m \000 c\n'
    long=0123456789abcdef
    for doubling in 1 2 3 4 5 6 7 8 9 10 11 12 13; do long=$long$long; done
    printf '%s\n' "$long"
    printf '%s%s%s%s%s%s%s%s%s\n' $long $long $long $long $long $long $long $long $long
    echo after
    """
    builder.build(request_for(script + NETBOOT))
    assert any("red" in line for line in sink.lines)
    assert any(line.endswith("longer than 64 KiB)") for line in sink.lines)
    assert any("more than 1 MiB was left out" in line for line in sink.lines)
    assert "demo> after" in sink.lines
    assert all(len(line) < 66_000 and "\0" not in line for line in sink.lines)


def test_unknown_attribute_is_named(
    builder: NixBuilder, request_for: Requests, sink: Memory
) -> None:
    request = request_for(NETBOOT)
    wrong = BuildRequest(
        request.pin, attribute("absent"), request.system, request.variant, sink, lambda: False
    )
    with pytest.raises(EvaluationFailed, match=r"no attribute packages\.\S+\.absent;"):
        builder.build(wrong)


def test_failing_derivation_shows_its_last_lines(
    builder: NixBuilder, request_for: Requests
) -> None:
    with pytest.raises(DerivationFailed, match="of demo failed with exit code 7") as failed:
        builder.build(request_for("echo the reason is here; exit 7"))
    first, *rest = failed.value.excerpt.splitlines()
    assert first.startswith("error: builder for '/nix/store/")
    assert "demo> the reason is here" in rest
    assert "\x1b" not in failed.value.excerpt
    assert not failed.value.retry


def test_missing_nix_says_how_to_get_it(request_for: Requests) -> None:
    request = request_for(NETBOOT)
    with pytest.raises(BuilderUnavailable, match=r"not installed.*nix-bin") as missing:
        NixBuilder(NixSettings(program="nix-that-is-not-there")).build(request)
    assert missing.value.retry


def test_daemon_that_does_not_answer_is_worth_a_retry(request_for: Requests) -> None:
    request = request_for(NETBOOT)
    unreachable = NixSettings(options={"store": "unix:///nonexistent/socket"})
    with pytest.raises(BuilderUnavailable, match="daemon does not answer"):
        NixBuilder(unreachable).build(request)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo lone > $out", "has no nix-support/hydra-build-products"),
        (NETBOOT + "product iso", "has a line that is no product: 'file iso'"),
        (NETBOOT.replace("echo initrd >", "run cat < /dev/null >"), "initrd-demo is empty"),
        (NETBOOT.replace("echo kernel > $out/bzImage-demo", ""), "bzImage-demo is listed.*no /nix"),
        (NETBOOT.replace("product ipxe", "product doc"), "offers no ipxe, which netboot needs"),
        (NETBOOT.replace("echo kernel >", "run mkdir"), "bzImage-demo is a directory"),
        (NETBOOT.replace("echo kernel >", "run ln -s /etc/passwd"), "leads out .* to /etc/passwd"),
        (
            NETBOOT.replace("echo kernel >", "run ln -s ../../../etc/passwd"),
            "leads out .* to /etc/passwd",
        ),
        (NETBOOT.replace("echo kernel >", "run ln -s bzImage-demo"), "can't be followed"),
        (NETBOOT.replace("bzImage-demo", "-rf"), "has the name '-rf'"),
        (NETBOOT + "product kernel /etc/hostname", "leads out of the output, to /etc/hostname"),
        (NETBOOT + "product kernel $out/initrd-demo", "2 files as kernel"),
    ],
)
def test_bad_product_is_refused_by_name(
    builder: NixBuilder, request_for: Requests, script: str, words: str
) -> None:
    with pytest.raises(BadProduct, match=words) as refused:
        builder.build(request_for(script))
    assert not refused.value.retry


def test_link_into_the_closure_is_followed(
    builder: NixBuilder, sink: Memory, tmp_path: Path
) -> None:
    """A NixOS netboot links its kernel from the kernel's own store path."""
    linked = NETBOOT.replace("echo kernel >", "run ln -s $needs/vmlinuz")
    kernel = "run mkdir $out; echo kernel > $out/vmlinuz"
    flake = Flake(
        tmp_path / "flake", {"kernel": kernel, "demo": linked}, needs={"demo": ["kernel"]}
    ).write()
    pin = builder.pin(Source(flake.ref, attribute("demo")))
    output = builder.build(
        BuildRequest(pin, attribute("demo"), System.X86_64, Variant.NETBOOT, sink, lambda: False)
    )
    assert output.products[0].name == "bzImage-demo"
    assert output.products[0].path.name == "vmlinuz"


def test_what_is_not_handed_out_is_told(
    builder: NixBuilder, request_for: Requests, sink: Memory
) -> None:
    builder.build(request_for(NETBOOT + "product manual $out/no-such-file"))
    assert "not handed out: file manual" in sink.text
