"""The small initrd is what cpio and the image read, the same bytes for the same options."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given, settings

from builds.boot.handover import archive, handover, handover_files
from builds.boot.options import BootOptions
from builds.tests.boot.examples import key, right

OPTIONS = BootOptions.parse(
    {
        "keys": f"{key()}\n{key('ecdsa')}",
        "hostname": "rescue-7",
        "addresses": "192.0.2.5/24 2001:db8::5/64",
        "gateways": "192.0.2.1",
        "nameservers": "192.0.2.53",
        "params": "quiet",
    }
)


def unpacked(data: bytes, folder: Path) -> Path:
    done = subprocess.run(
        ["cpio", "--quiet", "-id"], input=data, cwd=folder, capture_output=True, check=True
    )
    assert done.stderr == b""
    return folder


def test_cpio_unpacks_what_was_handed_over_for_root_alone(tmp_path: Path) -> None:
    folder = unpacked(handover(OPTIONS), tmp_path) / "handover"
    assert (folder / "ssh/authorized_keys").read_text() == f"{key()}\n{key('ecdsa')}\n"
    assert (folder / "hostname").read_text() == "rescue-7\n"
    assert (folder / "network").read_text() == (
        "address any 192.0.2.5/24\naddress any 2001:db8::5/64\ngateway any 192.0.2.1\n"
        "nameserver 192.0.2.53\n"
    )
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_address_of_a_card_names_the_card() -> None:
    options = BootOptions.parse({"card": "52:54:00:12:34:56", "addresses": "192.0.2.5/24"})
    assert handover_files(options) == {
        "handover/network": "address 52:54:00:12:34:56 192.0.2.5/24\n"
    }


def test_only_kernel_parameters_hand_nothing_over() -> None:
    assert handover_files(BootOptions.parse({"params": "quiet", "consoles": "tty0"})) == {}


@given(right)
@settings(max_examples=50)
def test_length_lets_any_archive_follow(texts: dict[str, str]) -> None:
    options = BootOptions.parse(texts)
    data = handover(options)
    assert len(data) % 512 == 0
    assert len(data) <= 8192
    assert data == handover(BootOptions.from_segment(options.segment))


def test_archive_holds_the_folders_above_each_file(tmp_path: Path) -> None:
    folder = unpacked(archive({"a/b/c": "1", "a/d": "2"}), tmp_path)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "a",
        "a/b",
        "a/b/c",
        "a/d",
    ]
