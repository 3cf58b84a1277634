"""Kexec tarballs from elsewhere are looked into before anybody unpacks them."""

from __future__ import annotations

import gzip
import lzma
import re
import resource
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from builds.builders import kexec_tarball
from builds.builders.base import BadProduct, BuildCancelled
from builds.builders.kexec_tarball import Inside, look_into

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "k.tar.gz": gzip.compress,
    "k.tar.xz": lzma.compress,
}
BLOCK = tarfile.BLOCKSIZE


def member(name: str, data: bytes = b"x", **fields: object) -> bytes:
    """One member as plain headers have it, and its data."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    for field, value in fields.items():
        setattr(info, field, value)
    body = data if info.size else b""
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + body.ljust(
        -(-len(body) // BLOCK) * BLOCK, b"\0"
    )


RUN = member("kexec/run")
END = bytes(2 * BLOCK)
NOTHING = {"data": b""}


def inside(folder: Path, tar: bytes, name: str = "k.tar.gz") -> Inside:
    path = folder / "product"  # products lie under other names than they get
    path.write_bytes(PACKED[name](tar))
    with path.open("rb") as file:
        return look_into(file, name, lambda: None)


def refusal(folder: Path, tar: bytes, name: str = "k.tar.gz") -> str:
    with pytest.raises(BadProduct) as refused:
        inside(folder, tar, name)
    return str(refused.value)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("form", ["ustar", "gnu"])
@pytest.mark.parametrize("given", [["kexec"], ["./kexec"], ["kexec/run", "kexec/initrd"]])
def test_what_tar_makes_of_a_folder_is_taken(
    tmp_path: Path, name: str, form: str, given: list[str]
) -> None:
    (tmp_path / "kexec").mkdir()
    (tmp_path / "kexec/run").write_text("#!/bin/sh\n")
    (tmp_path / "kexec/initrd").write_bytes(bytes(1_000_003))
    made = subprocess.run(
        ["tar", "-C", tmp_path, f"--format={form}", "-cf", "-", *given],
        capture_output=True,
        check=True,
    ).stdout
    folders = not given[0].startswith("kexec/")
    assert inside(tmp_path, made, name) == Inside(2 + folders, 1_000_013)


BAD: dict[str, tuple[bytes, str]] = {
    "absolute": (member("/etc/passwd"), "not below kexec/"),
    "up": (member("kexec/../../etc/passwd"), "not below kexec/"),
    "only up": (member(".."), "not below kexec/"),
    "beside": (member("other/run"), "not below kexec/"),
    "prefix": (member("kexec.d/run"), "not below kexec/"),
    "doubled slash": (member("kexec//run2"), "not below kexec/"),
    "dot": (member("kexec/./run2"), "not below kexec/"),
    "the folder that it is unpacked in": (
        member("./", type=tarfile.DIRTYPE, **NOTHING),
        "not below",
    ),
    "kexec is a file": (member("kexec"), "not below kexec/"),
    "new line": (member("kexec/a\nb"), "not below kexec/"),
    "link": (
        member("kexec/a", type=tarfile.SYMTYPE, linkname="/etc", **NOTHING),
        "a symbolic link",
    ),
    "link within": (member("kexec/a", type=tarfile.SYMTYPE, linkname="run", **NOTHING), "symbolic"),
    "hard link": (
        member("kexec/a", type=tarfile.LNKTYPE, linkname="/etc/shadow", **NOTHING),
        "hard",
    ),
    "character device": (member("kexec/a", type=tarfile.CHRTYPE, **NOTHING), "a character device"),
    "block device": (member("kexec/a", type=tarfile.BLKTYPE, **NOTHING), "a block device"),
    "pipe": (member("kexec/a", type=tarfile.FIFOTYPE, **NOTHING), "a pipe"),
    "sparse": (member("kexec/a", type=tarfile.GNUTYPE_SPARSE), "an extension"),
    "pax name": (member("kexec/a", b"20 path=/etc/passwd\n", type=tarfile.XHDTYPE), "an extension"),
    "pax for all": (
        member("kexec/a", b"20 path=/etc/passwd\n", type=tarfile.XGLTYPE),
        "an extension",
    ),
    "long name": (
        member("kexec/a", b"/etc/passwd\0", type=tarfile.GNUTYPE_LONGNAME),
        "an extension",
    ),
    "unknown type": (member("kexec/a", type=b"Z"), "an extension"),
    "set-user-id": (member("kexec/a", mode=0o4755), "its owner's rights"),
    "set-group-id": (member("kexec/a", mode=0o2755), "its owner's rights"),
    "folder with bytes": (member("kexec/a/", type=tarfile.DIRTYPE), "contradicts itself"),
    "twice": (RUN, "in it twice"),
    "twice as a folder": (member("kexec/run/", type=tarfile.DIRTYPE, **NOTHING), "in it twice"),
    "other letters": (member("kexec/ä"), "can't be read"),
}


@pytest.mark.parametrize("what", BAD)
def test_member_that_could_lead_out_is_refused(tmp_path: Path, what: str) -> None:
    bad, word = BAD[what]
    assert word in refusal(tmp_path, RUN + bad + END)
    assert word in refusal(tmp_path, RUN + bad + END, "k.tar.xz")


@pytest.mark.parametrize("name", PACKED)
def test_tarball_that_is_cut_off_or_goes_on_behind_its_end_is_refused(
    tmp_path: Path, name: str
) -> None:
    assert "before its end mark" in refusal(tmp_path, RUN, name)
    assert "is cut off" in refusal(tmp_path, member("kexec/run", b"x" * 2000)[:-BLOCK], name)
    assert "it has no kexec/run" in refusal(tmp_path, member("kexec/initrd") + END, name)
    assert "behind its end" in refusal(tmp_path, RUN + END + member("/etc/passwd"), name)
    assert "behind its end" in refusal(tmp_path, RUN + bytes(2 * kexec_tarball.LONGEST_END), name)
    whole = PACKED[name](RUN + END)
    for packed in (b"", b"no tarball", whole[:-9], whole + b"more", whole[:20] + b"x" + whole[21:]):
        (tmp_path / "product").write_bytes(packed)
        with (
            (tmp_path / "product").open("rb") as file,
            pytest.raises(BadProduct, match=re.escape(name)),
        ):
            look_into(file, name, lambda: None)


def test_members_and_bytes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kexec_tarball, "MOST_MEMBERS", 3)
    monkeypatch.setattr(kexec_tarball, "MOST_BYTES", 10)
    assert inside(tmp_path, RUN + member("kexec/a") + END).members == 2
    many = b"".join(member(f"kexec/{number}") for number in range(3))
    assert "more than 3 members" in refusal(tmp_path, RUN + many + END)
    assert "or 10 bytes" in refusal(tmp_path, RUN + member("kexec/a", b"x" * 10) + END)


def test_who_cancels_need_not_wait(tmp_path: Path) -> None:
    def stop() -> None:
        raise BuildCancelled("The build was cancelled.")

    (tmp_path / "product").write_bytes(gzip.compress(RUN + END))
    with (tmp_path / "product").open("rb") as file, pytest.raises(BuildCancelled):
        look_into(file, "k.tar.gz", stop)


@pytest.mark.parametrize("name", PACKED)
def test_bomb_is_read_in_little_memory(tmp_path: Path, name: str) -> None:
    size = 400 * 1024**2
    header = member("kexec/initrd", size=size)[:BLOCK]
    program = {"k.tar.gz": "gzip", "k.tar.xz": "xz -0"}[name]
    (tmp_path / "head").write_bytes(RUN + header)
    made = f"(cat head; head -c {size + 2 * BLOCK} /dev/zero) | {program} > product"
    subprocess.run(["sh", "-c", made], cwd=tmp_path, check=True)
    assert (tmp_path / "product").stat().st_size < 4 * 1024**2
    code = (
        "import sys\n"
        "from builds.builders.kexec_tarball import look_into\n"
        "print(look_into(open(sys.argv[1], 'rb'), sys.argv[2], lambda: None).size)"
    )

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (256 * 1024**2, 256 * 1024**2))

    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "product", name],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
    )
    assert done.stdout == f"{size + 1}\n", done.stderr


def test_decoder_that_wants_much_memory_gets_none(tmp_path: Path) -> None:
    (tmp_path / "product").write_bytes(_asking_for_a_gigabyte(lzma.compress(RUN + END)))
    with (tmp_path / "product").open("rb") as file, pytest.raises(BadProduct, match="emory usage"):
        look_into(file, "k.tar.xz", lambda: None)


def _asking_for_a_gigabyte(packed: bytes) -> bytes:
    """The same with another dictionary in the header of its first block, whose sum is made anew."""
    start = 12  # of the block header: its own size, flags, filter, size of properties, properties
    length = (packed[start] + 1) * 4
    header = bytearray(packed[start : start + length - 4])
    at = header.index(b"\x21\x01") + 2
    header[at] = 38  # 2 << (38 // 2 + 11)

    return (
        packed[:start]
        + bytes(header)
        + zlib.crc32(header).to_bytes(4, "little")
        + packed[start + length :]
    )
