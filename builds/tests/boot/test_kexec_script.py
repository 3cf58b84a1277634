"""The script of /k/, in every shell and by every downloader: it never runs an unverified byte."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from builds.models import Channel, Release, SignedSums
from builds.storage import artifacts
from builds.tests.boot.conftest import MakeRescue
from builds.tests.boot.kexec import NAME, published, script
from builds.tests.boot.rescue import Shop
from builds.tests.models.rows import NOW
from builds.tests.signing.test_tools import meaning

WAYS = [("dash", "curl"), ("dash", "wget"), ("dash", "busybox wget")]
FLIPS = 40
ALL = [*WAYS, ("bash", "curl"), ("bash", "wget"), ("busybox", "busybox wget")]


def keys(folder: Path, name: str, namespaces: str = "nixos-images") -> tuple[Path, str]:
    """A private key, and its line of allowed signers."""
    file = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)]
    subprocess.run(command, check=True)
    public = " ".join(file.with_suffix(".pub").read_text().split()[:2])
    return file, f'{name} namespaces="{namespaces}" {public}\n'


def signature(data: bytes, by: Path) -> bytes:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(by), "-n", "nixos-images"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def serve_signed(release: Release, served: Shop, by: Path, **lies: tuple[str, str]) -> None:
    """The papers that the portal has of a release, signed by another key; `lies` replace words."""
    papers = {
        "sums": release.key("SHA256SUMS-x86_64-linux"),
        "manifest": release.key("release-x86_64-linux.json"),
        "timestamp": f"releases/download/{release.channel.name}/timestamp-x86_64-linux.json",
    }
    for kind, key in papers.items():
        data = artifacts().read(key) or b""
        old, new = lies.get(kind, ("", ""))
        assert old.encode() in data
        data = data.replace(old.encode(), new.encode()) if old else data
        served.files |= {f"/{key}": data, f"/{key}.sig": signature(data, by)}


@pytest.mark.parametrize(("shell", "program"), ALL)
def test_release_is_downloaded_verified_unpacked_and_run(
    release: Release, rescue: MakeRescue, served: Shop, shell: str, program: str
) -> None:
    system = rescue(shell, program)
    system.write("root/nixos-images/kexec/stale", "of an older image")
    words = ["--append", "a=1 b='2'", "--kexec-extra-flags=--reset-vga", "--", "--what else"]
    done = system.pipe(script(), *words)
    assert done.returncode == 0, done.stderr
    assert system.ran == ["1.0 --append=a=1 b='2' --kexec-extra-flags=--reset-vga --what else"]
    assert system.files("root/nixos-images") == [
        *("kexec/bzImage", "kexec/initrd", "kexec/ip", "kexec/kexec", "kexec/run"),
    ]
    sha256 = release.artifacts.get(name=NAME).sha256
    for words_ in ("demo 1.0 for x86_64-linux, published 2026-11-22T03:12:09Z", sha256, "verified"):
        assert words_ in done.stderr
    assert [path for path, _ in served.asked] == [f"/{release.key(NAME)}"]


@pytest.mark.parametrize("program", ["curl", "wget", "busybox wget"])
@pytest.mark.parametrize("mood", ["altered", "other", "missing", "endless", "cut, then altered"])
def test_what_is_not_what_was_published_is_never_run(
    release: Release, rescue: MakeRescue, served: Shop, mood: str, program: str
) -> None:
    system = rescue("dash", program)
    served.moods = ["cut", *["altered"] * 20] if "," in mood else [mood] * 20
    done = system.pipe(script())
    assert done.returncode in {5, 6}, done.stderr
    assert system.ran == []
    assert not any(name.endswith("run") for name in system.files())
    assert sum(path.stat().st_size for path in system.root.glob("root/**/*.part")) < 300_000


@pytest.mark.parametrize("way", [*WAYS, ("busybox", "busybox wget")])
@pytest.mark.parametrize("moods", [["cut", "cut", "cut"], ["redirect"], ["cut", "no ranges"]])
def test_broken_and_redirected_downloads_come_to_their_end(
    release: Release, rescue: MakeRescue, served: Shop, way: tuple[str, str], moods: list[str]
) -> None:
    system = rescue(*way)
    served.moods = [*moods]
    done = system.pipe(script())
    assert done.returncode == 0, done.stderr
    assert system.ran == ["1.0"]
    if moods == ["cut", "cut", "cut"]:
        starts = [wanted for _, wanted in served.asked]
        assert len(set(starts)) == 4, "each goes on where the one before broke off"


def test_download_that_another_run_began_is_gone_on_with_or_thrown_away(
    release: Release, rescue: MakeRescue, served: Shop
) -> None:
    whole = served.files[f"/{release.key(NAME)}"]
    for begun, ranges in ((whole[:100], ["bytes=100-"]), (b"x" * 100, ["bytes=100-", ""])):
        system = rescue()
        system.write(f"root/nixos-images/{NAME}.part", begun)
        served.asked.clear()
        assert system.pipe(script()).returncode == 0
        assert system.ran == ["1.0"]
        assert [wanted for _, wanted in served.asked] == ranges


def test_half_a_script_does_nothing(release: Release, rescue: MakeRescue) -> None:
    """All that a shell may have got before the connection broke, but the very last line end."""
    text = script().rstrip("\n")
    last = text.rfind("\n")
    cuts = [*range(0, last, 997), *range(last - 3, len(text) - 1)]
    for shell in ("dash", "bash", "busybox"):
        system = rescue(shell, "curl")
        for cut in cuts if shell == "dash" else cuts[-20:]:
            done = system.pipe(text[:cut], "--download-only")
            assert "nixos-images:" not in done.stderr, text[cut - 20 : cut]
        assert system.files() == []
        assert system.ran == []


def test_older_release_than_the_one_before_is_refused_unless_it_is_wanted(
    demo: Channel, rescue: MakeRescue, served: Shop
) -> None:
    published(demo, "1.0", served)
    second = published(demo, "2.0", served)
    system = rescue()
    assert system.pipe(script()).returncode == 0
    second.withdraw("broken", at=NOW)
    done = system.pipe(script())
    assert done.returncode == 7
    assert "1.0 is older than 2.0" in done.stderr
    assert system.ran == ["2.0"]
    assert system.pipe(script(), "--force-older").returncode == 0
    assert system.pipe(script("/k/demo/1.0")).returncode == 7
    assert system.ran == ["2.0", "1.0"]


def test_numbers_of_other_portals_channels_and_systems_say_nothing(
    release: Release, rescue: MakeRescue, served: Shop
) -> None:
    system = rescue()
    others = (
        "http://other.example demo x86_64-linux",
        f"{served.url} other x86_64-linux",
        f"{served.url} demo aarch64-linux",
    )
    seen = "".join(f"{other} 99 9.0\n" for other in others)
    system.write("root/nixos-images.seen", seen)
    done = system.pipe(script(), "--download-only")
    assert done.returncode == 0, done.stderr
    system.write("root/nixos-images.seen", f"{seen}{served.url} demo x86_64-linux 99 9.0\n")
    assert system.pipe(script(), "--download-only").returncode == 7


def test_signature_is_verified_where_a_key_is_given(
    release: Release, rescue: MakeRescue, served: Shop, tmp_path: Path
) -> None:
    key, allowed = keys(tmp_path, "portal")
    other, stranger = keys(tmp_path, "stranger")
    sums_path = f"/{release.key('SHA256SUMS-x86_64-linux')}"
    lines = "".join(f"{a.sha256}  {a.name}\n" for a in release.artifacts.all())

    def sign(text: str, by: Path, namespace: str = "nixos-images") -> None:
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(by), "-n", namespace]
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
        served.files |= {sums_path: text.encode(), f"{sums_path}.sig": done.stdout}

    serve_signed(release, served, key)
    system = rescue("dash", "curl", "ssh-keygen")
    system.write("root/signers", allowed)
    given = ["--allowed-signers", "/root/signers"]
    for text, by, namespace, words in (
        (lines, other, "nixos-images", "no key of /root/signers has signed"),
        (lines, key, "file", "the signature is wrong"),
        (lines.replace(NAME, "x"), key, "nixos-images", "another digest"),
    ):
        sign(text, by, namespace)
        done = system.pipe(script(), *given)
        assert (done.returncode, system.ran) == (6, []), done.stderr
        assert words in done.stderr
    sign(lines, key)
    served.files[sums_path] += b"more\n"
    assert "the signature is wrong" in system.pipe(script(), *given).stderr
    sign(lines, key)
    done = system.pipe(script(), *given)
    assert done.returncode == 0, done.stderr
    assert "signed by portal" in done.stderr
    del served.files[f"{sums_path}.sig"]
    assert system.pipe(script(), *given).returncode == 6
    assert system.ran == ["1.0"]
    without = rescue()
    without.write("root/signers", stranger)
    assert "there is no ssh-keygen" in without.pipe(script(), *given).stderr


WORDS = ["--allowed-signers", "/root/signers"]


@pytest.mark.parametrize(
    "lie",
    [
        ({"manifest": ('"sequence":1,', '"sequence":2,')}, "manifest is of another release"),
        ({"manifest": ('"version":"1.0"', '"version":"0.9"')}, "manifest is of another release"),
        ({"manifest": ('"channel":"demo"', '"channel":"x"')}, "manifest is of another release"),
        ({"manifest": ('"sha256":"', '"sha256":"0')}, "manifest has another digest"),
        ({"timestamp": ('"sequence":1,', '"sequence":2,')}, "timestamp is of another release"),
        ({"timestamp": ('"system":"x', '"system":"y')}, "timestamp is of another release"),
        ({"timestamp": ('sha256":"', 'sha256":"0')}, "timestamp names another manifest"),
    ],
)
def test_signed_papers_of_another_release_are_refused(
    release: Release,
    rescue: MakeRescue,
    served: Shop,
    tmp_path: Path,
    lie: tuple[dict[str, tuple[str, str]], str],
) -> None:
    lies, words = lie
    key, allowed = keys(tmp_path, "portal")
    serve_signed(release, served, key, **lies)
    system = rescue("dash", "curl", "ssh-keygen")
    system.write("root/signers", allowed)
    done = system.pipe(script(), *WORDS, "--allow-expired", "--force-older")
    assert (done.returncode, system.ran) == (6, []), done.stderr
    assert words in done.stderr


def test_signed_timestamp_that_is_over_is_refused_unless_it_is_wanted(
    release: Release, rescue: MakeRescue, served: Shop, tmp_path: Path
) -> None:
    key, allowed = keys(tmp_path, "portal")
    held = json.loads(SignedSums.objects.get().files["timestamp-x86_64-linux.json"])["expires_at"]
    serve_signed(release, served, key, timestamp=(held, "2026-01-01T00:00:00Z"))
    system = rescue("dash", "curl", "ssh-keygen")
    system.write("root/signers", allowed)
    done = system.pipe(script(), *WORDS)
    assert (done.returncode, system.ran) == (7, []), done.stderr
    assert "the signed timestamp held until 2026-01-01" in done.stderr
    assert system.pipe(script("/k/demo/1.0"), *WORDS).returncode == 0, "a version is never over"
    assert system.pipe(script(), *WORDS, "--allow-expired").returncode == 0


@pytest.mark.parametrize("way", [("dash", "curl"), ("bash", "wget"), ("busybox", "busybox wget")])
def test_script_that_was_kept_for_too_long_is_refused_in_every_shell(
    release: Release, rescue: MakeRescue, served: Shop, way: tuple[str, str]
) -> None:
    row = SignedSums.objects.get()
    held = json.loads(row.files["timestamp-x86_64-linux.json"])["expires_at"]
    assert held[:10] > datetime.now(UTC).isoformat()
    fresh = script()
    assert f"expires_at={held}" in fresh
    old = fresh.replace(f"expires_at={held}", "expires_at=2026-11-01T00:00:00Z")
    system = rescue(*way)
    done = system.pipe(old)
    assert (done.returncode, system.ran) == (7, []), done.stderr
    assert "this script held until 2026-11-01T00:00:00Z" in done.stderr
    assert system.pipe(old, "--allow-expired").returncode == 0
    assert system.pipe(fresh).returncode == 0
    assert len(system.ran) == 2


def test_portal_whose_signer_is_silent_gives_the_manifests_own_time(
    release: Release, served: Shop
) -> None:
    SignedSums.objects.all().delete()
    text = script()
    assert "timestamp_url='' expires_at=2126-" in text
    assert "timestamp_url='' expires_at=''" in script("/k/demo/1.0")


def test_machine_without_a_clock_is_told_so_and_goes_on(
    release: Release, rescue: MakeRescue, served: Shop
) -> None:
    system = rescue()
    system.lacks("date")
    done = system.pipe(script())
    assert done.returncode == 0
    assert "clock is behind" in done.stderr
    later = rescue()
    assert "clock is behind" not in later.pipe(script()).stderr


def test_no_flipped_bit_of_file_paper_or_signature_is_run(
    release: Release, rescue: MakeRescue, served: Shop, tmp_path: Path
) -> None:
    key, allowed = keys(tmp_path, "portal")
    serve_signed(release, served, key)
    system = rescue("dash", "curl", "ssh-keygen")
    system.write("root/signers", allowed)
    text, draw, flipped = script(), Random(4), 0
    names = sorted(
        name for name in served.files if name.endswith(NAME) or not name.endswith((".gz", "-linux"))
    )
    names.append(f"/{release.key('SHA256SUMS-x86_64-linux')}")
    while flipped < FLIPS:
        name = names[flipped % len(names)]
        before = served.files[name]
        data, bit = bytearray(before), draw.randrange(len(before) * 8)
        data[bit // 8] ^= 1 << bit % 8
        served.files[name] = bytes(data)
        if not (name.endswith(".sig") and meaning(name, before) == meaning(name, bytes(data))):
            done = system.pipe(text, *WORDS)
            assert done.returncode in {5, 6}, f"{name}: {done.stderr}"
            assert system.ran == []
            flipped += 1
        served.files[name] = before
    assert system.pipe(text, *WORDS).returncode == 0
    assert system.ran == ["1.0"]
