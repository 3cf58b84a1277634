"""Every way of booting, read by the program that it is for, whatever somebody types."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import hcl2
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings

from builds.boot.commands import BootCommand, boot_commands
from builds.boot.handover import handover, handover_files
from builds.boot.options import BadOptions, BootOptions
from builds.boot.ways import EVERYTHING, titles, ways
from builds.choices import System
from builds.models import Release
from builds.tests.boot.examples import anything, key
from builds.tests.downloads.conftest import stored_release
from builds.tests.models.rows import channel

BASE = "http://images.example.org:8080"
FOLDER = f"{BASE}/releases/download/demo/1.0"
# Everything that a shell may make something of, in the one field that takes free words.
NASTY_KEY = key().rsplit(" ", 1)[0] + ' it\'s $(reboot) `x` "q" ${a} %{b} \\ ; | & > # é 😀 !x'


@pytest.fixture
def both(db: None) -> list[Release]:
    of = channel(is_default=True)
    return [stored_release(of, "1.0", system) for system in System]


def commands(releases: list[Release], options: BootOptions) -> dict[str, BootCommand]:
    found = [way.command for way in ways(releases[0], options, BASE, releases)]
    assert len({command.method for command in found}) == len(found)
    return {command.method: command for command in found}


def asked(**texts: str) -> BootOptions:
    return BootOptions.parse(texts)


FULL = {
    "keys": NASTY_KEY,
    "hostname": "rescue",
    "addresses": "192.0.2.5/24",
    "consoles": "tty0 ttyS1,115200",
    "params": "quiet a.b=~c,d:e/%f@g+h-i",
}


def shell_words(text: str) -> list[str]:
    """What a POSIX shell makes of a line: the words of each command, as it would run them."""
    script = "\n".join(
        [
            *('say() { printf "%s\\0" "$@" ""; }', "cd() { :; }"),
            *(f'{name}() {{ say {name} "$@"; }}' for name in ("curl", "tar", "mkdir", "pixiecore")),
            'sha256sum() { IFS= read -r line; say sum "$line"; }',
        ]
    )
    ran = subprocess.run(
        ["sh", "-euc", f"{script}\n{text}"], capture_output=True, check=True, cwd="/"
    )
    return ran.stdout.decode().split("\0")


def test_piped_script_is_given_keys_before_and_parameters_behind(both: list[Release]) -> None:
    line = commands(both, asked(**FULL))["kexec_script"].text.splitlines()[-1]
    params = "console=tty0 console=ttyS1,115200 quiet a.b=~c,d:e/%f@g+h-i systemd.hostname=rescue"
    assert line == f"  && curl -fsSL {BASE}/k/demo | sh -s -- --append '{params}'"
    plain = commands(both, BootOptions())
    assert plain["kexec_script"].text == f"curl -fsSL {BASE}/k/demo | sh"
    assert plain["ipxe_channel"].text == f"chain --autofree {BASE}/boot/demo.ipxe"


def test_commands_of_one_release_name_its_version(both: list[Release]) -> None:
    found = {each.method: each.text for each in boot_commands(both[0], BASE, pinned=True)}
    assert found["kexec_script"] == f"curl -fsSL {BASE}/k/demo/1.0 | sh"
    assert found["ipxe_channel"] == f"chain --autofree {BASE}/boot/demo/1.0.ipxe"


@pytest.mark.parametrize("texts", [{}, FULL])
def test_shells_read_every_line(both: list[Release], texts: dict[str, str]) -> None:
    found = commands(both, asked(**texts))
    for method in (
        "kexec",
        "kexec_script",
        "iso",
        "pixiecore",
        "grub_files",
        "qemu",
        "dnsmasq_scripts",
    ):
        if method in found:
            subprocess.run(["sh", "-n"], input=found[method].text.encode(), check=True)
            subprocess.run(["busybox", "sh", "-n"], input=found[method].text.encode(), check=True)


def test_kexec_verifies_before_it_runs_and_adds_key_and_parameters(
    both: list[Release], tmp_path: Path
) -> None:
    text = commands(both, asked(**FULL))["kexec"].text
    lines = text.split(" \\\n  && ")
    tarball = both[0].artifacts.get(role="tarball")
    assert shlex.split(lines[0]) == ["curl", "-fLO", f"{FOLDER}/{tarball.name}"]
    assert lines[1] == f'echo "{tarball.sha256}  {tarball.name}" | sha256sum -c -'
    assert shlex.split(lines[-1]) == [
        "/root/kexec/run",
        "--append",
        "console=tty0 console=ttyS1,115200 quiet a.b=~c,d:e/%f@g+h-i systemd.hostname=rescue",
    ]
    keys = tmp_path / "authorized_keys"
    line = lines[-2].replace("/root/.ssh/authorized_keys", str(keys))
    subprocess.run(["sh", "-euc", line], check=True)
    assert keys.read_text() == f"{NASTY_KEY}\n"


def test_wrong_download_never_runs(both: list[Release], tmp_path: Path) -> None:
    text = commands(both, BootOptions())["kexec"].text
    ran = tmp_path / "ran"
    script = f'curl() {{ echo other > "${{2##*/}}"; }}; tar() {{ touch {ran}; }}\n{text}'
    result = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert result.returncode != 0
    assert b"FAILED" in result.stdout
    assert not ran.exists()


@pytest.mark.parametrize("texts", [{}, {"params": "quiet"}, FULL])
def test_dnsmasq_takes_its_configuration(
    both: list[Release], tmp_path: Path, texts: dict[str, str]
) -> None:
    found = commands(both, asked(**texts))
    file = tmp_path / "nixos.conf"
    file.write_text(found["dnsmasq"].text)
    subprocess.run(["dnsmasq", "--test", f"--conf-file={file}"], check=True, capture_output=True)
    # What is offered in comments is right, too.
    file.write_text(re.sub(r"^#(?=dhcp)", "", found["dnsmasq"].text, flags=re.MULTILINE))
    subprocess.run(["dnsmasq", "--test", f"--conf-file={file}"], check=True, capture_output=True)
    boots = re.findall(
        r"^dhcp-boot=tag:ipxe,tag:(\S+?),(\S+)$", found["dnsmasq"].text, re.MULTILINE
    )
    assert [tag for tag, _ in boots] == ["x86-bios", "x86-uefi", "arm-uefi"]
    assert all(len(name) <= 127 for _, name in boots)
    assert ("dnsmasq_scripts" in found) == (texts == FULL)


def test_long_addresses_are_in_scripts_that_dnsmasq_hands_out(
    both: list[Release], tmp_path: Path
) -> None:
    found = commands(both, asked(**FULL))
    text = found["dnsmasq_scripts"].text.replace("/srv/tftp", str(tmp_path))
    subprocess.run(["sh", "-euc", text], check=True)
    for system in System:
        name = f"nixos-{system}.ipxe"
        assert name in found["dnsmasq"].text
        options = asked(**FULL).segment
        assert (tmp_path / name).read_text() == (
            f"#!ipxe\nchain --autofree {BASE}/boot/demo/{system}/{options}/netboot.ipxe\n"
        )


@pytest.mark.parametrize("texts", [{}, FULL])
def test_grub_takes_its_entry(both: list[Release], tmp_path: Path, texts: dict[str, str]) -> None:
    file = tmp_path / "custom.cfg"
    file.write_text(commands(both, asked(**texts))["grub"].text)
    subprocess.run(["grub-script-check", file], check=True)


@given(anything)
@example(FULL)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_can_be_injected(both: list[Release], texts: dict[str, str]) -> None:
    try:
        options = asked(**texts)
    except BadOptions:
        return
    found = commands(both, options)
    params = " ".join(["console=ttyS0", *options.kernel_params])
    archive = (
        [f"{BASE}/boot/demo/1.0/x86_64-linux/{options.segment}/handover.cpio"]
        if handover_files(options)
        else []
    )
    initrds = [*archive, f"{FOLDER}/initrd-x86_64-linux"]
    kernel = f"{FOLDER}/bzImage-x86_64-linux"
    names = [address.rpartition("/")[2] for address in (kernel, *initrds)]
    pixiecore = ["pixiecore", "boot", *names, "--cmdline", params, "", ""]
    said = shell_words(found["pixiecore"].text)
    assert said[-len(pixiecore) :] == pixiecore
    assert said.count("curl") == said.count("sum") == len(names), "and verified first"
    assert json.loads(found["pixiecore_api"].text) == {
        "kernel": kernel,
        "initrd": initrds,
        "cmdline": params,
    }
    chain = shlex.split(found["ipxe"].text)
    assert len(chain) == 3
    assert re.fullmatch(rf"{BASE}/[A-Za-z0-9_./-]+", chain[2])
    run = [script] = yaml.safe_load(found["cloud_init"].text)["runcmd"]
    assert run == [script]
    lines = found["kexec"].text.split(" \\\n  && ")
    assert script.splitlines() == ["set -e", "cd /root", *lines]
    assert len(lines) == 4 + bool(options.keys) + len(options.keys)
    written = [shlex.split(line)[1] for line in lines if line.endswith("/authorized_keys")]
    assert written == list(options.keys)
    [linux] = re.findall(r"^  linux (.*)$", found["grub"].text, re.MULTILINE)
    assert " ".join(shlex.split(linux)[1:]) == params
    assert shlex.split(found["qemu"].text.replace("\\\n", ""))[-1] == params


def test_terraform_reads_the_module(both: list[Release]) -> None:
    found = hcl2.loads(commands(both, asked(**FULL))["terraform"].text + "\n")
    [module] = found["module"]
    url = str(next(iter(module.values()))["kexec_tarball_url"]).strip('"')
    assert url == f"{FOLDER}/nixos-kexec-installer-x86_64-linux.tar.gz"


def test_every_method_is_offered_and_described(both: list[Release]) -> None:
    found = commands(both, asked(**FULL))
    assert set(found) - set(titles()) <= {"dnsmasq_scripts", "grub_files"}
    assert set(titles()) - set(found) == {"iso"}
    assert all(command.note for command in found.values())


def test_what_can_not_be_handed_over_is_named(both: list[Release]) -> None:
    found = {way.command.method: way.without for way in ways(both[0], asked(**FULL), BASE, both)}
    assert set(EVERYTHING) == set(asked(**FULL).texts) | {"gateways", "nameservers", "card"}
    assert found["nixos_anywhere"] == found["terraform"] == EVERYTHING
    assert found["qemu"] == found["ipxe"] == ()
    assert "addresses" in found["kexec"]


def test_archive_of_the_digest_is_the_one_that_is_handed_over(
    both: list[Release], tmp_path: Path
) -> None:
    text = commands(both, asked(**FULL))["grub_files"].text
    [line] = [line for line in text.split(" \\\n  && ") if "  handover.cpio" in line]
    (tmp_path / "handover.cpio").write_bytes(handover(asked(**FULL)))
    subprocess.run(["sh", "-euc", line], cwd=tmp_path, check=True)
