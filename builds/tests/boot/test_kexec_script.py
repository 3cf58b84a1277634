"""The script of /k/, in every shell and by every downloader: it never runs an unverified byte."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from builds.boot.screen import screen
from builds.choices import Role, System, Variant
from builds.models import Channel, Damage, Release
from builds.pipeline import publish
from builds.tests.boot.rescue import Rescue, Shop, shop, tarball
from builds.tests.factories import ArtifactFactory, BuildFactory, ReleaseFactory
from builds.tests.models.rows import NOW, channel, draft

NAME = "nixos-kexec-installer-x86_64-linux.tar.gz"
NONINTERACTIVE = "nixos-kexec-installer-noninteractive-x86_64-linux.tar.gz"
BUNDLE = "kexec-bundle-x86_64-linux"
WAYS = [("dash", "curl"), ("dash", "wget"), ("dash", "busybox wget")]
ALL = [*WAYS, ("bash", "curl"), ("bash", "wget"), ("busybox", "busybox wget")]
MakeRescue = Callable[..., Rescue]


@pytest.fixture
def served() -> Iterator[Shop]:
    with shop() as given:
        yield given


@pytest.fixture
def demo(db: None, settings: LazySettings, served: Shop) -> Channel:
    settings.PORTAL_URL = served.url
    return channel(is_default=True)


@pytest.fixture
def release(demo: Channel, served: Shop) -> Release:
    return published(demo, "1.0", served)


@pytest.fixture
def rescue(tmp_path: Path) -> MakeRescue:
    def make(shell: str = "dash", *programs: str) -> Rescue:
        root = tmp_path / f"system-{len(list(tmp_path.glob('system-*')))}"
        root.mkdir()
        return Rescue(root, shell, *(programs or ("curl",)))

    return make


def published(of: Channel, version: str, served: Shop, least: int | None = None) -> Release:
    """A release whose files the server has: two tarballs that leave a mark, and a bundle."""
    release = draft(of, version=version, revision="ab" * 20, pinned_at=NOW)
    build = BuildFactory(release=release, succeeded=True, variant=Variant.KEXEC_INSTALLER)
    mark = f"#!/bin/sh\necho '{version}' \"$@\" >> /ran\n"
    contents = {
        NAME: (Role.TARBALL, Variant.KEXEC_INSTALLER, tarball(mark)),
        NONINTERACTIVE: (
            Role.TARBALL,
            Variant.KEXEC_INSTALLER_NONINTERACTIVE,
            tarball(mark.replace("echo", "echo quietly")),
        ),
        BUNDLE: (Role.BUNDLE, Variant.KEXEC_BUNDLE, mark.replace("echo", "echo bundle").encode()),
    }
    for name, (role, variant, data) in contents.items():
        ArtifactFactory(
            release=release,
            build=build,
            name=name,
            role=role,
            variant=variant,
            content=data,
            least_memory=least,
            stored=True,
        )
        served.files[f"/{release.key(name)}"] = data
    assert publish(release, at=NOW)
    return release


def script(path: str = "/k/demo") -> str:
    response = Client().get(path)
    assert response.status_code == 200, response.content
    return response.content.decode()


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


def test_without_a_downloader_it_says_so(release: Release, rescue: MakeRescue) -> None:
    system = rescue("dash", "cpio")
    done = system.pipe(script())
    assert done.returncode == 3
    assert "- there is neither curl nor wget to download with: install one" in done.stderr
    assert system.files() == []


def test_other_programs_take_the_place_of_missing_ones(
    release: Release, rescue: MakeRescue
) -> None:
    system = rescue("dash", "curl", "openssl")
    system.lacks("sha256sum", "gzip", "tar")
    done = system.pipe(script())
    assert done.returncode == 3
    assert "there is no tar" in done.stderr
    assert "there is no gzip" in done.stderr
    done = system.pipe(script(), "--bundle")
    assert done.returncode == 0, done.stderr
    assert system.ran == ["bundle 1.0"]
    system.link("busybox")
    assert system.pipe(script()).returncode == 0
    assert system.ran[1:] == ["1.0"]
    system.lacks("busybox", "openssl")
    done = system.pipe(script(), "--download-only")
    assert "none of sha256sum, shasum, openssl is here" in done.stderr


@pytest.mark.parametrize(
    "stop",
    [
        ("proc/sys/kernel/kexec_load_disabled", "1\n", "kexec is switched off"),
        ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "Secure Boot"),
        ("run/systemd/container", "lxc\n", "this is a container (lxc)"),
        ("proc/meminfo", "MemTotal: 200000 kB\nMemAvailable: 150000 kB\n", "195 MiB of RAM"),
    ],
)
def test_what_would_stop_it_is_named_before_anything_is_written(
    demo: Channel, rescue: MakeRescue, served: Shop, stop: tuple[str, str, str]
) -> None:
    file, text, words = stop
    published(demo, "1.0", served, least=352)
    system = rescue()
    system.write(file, text)
    done = system.pipe(script())
    assert done.returncode == 3
    assert words in done.stderr
    assert served.asked == []
    assert system.files() == []
    # What stops kexec does not stop a download.
    assert system.pipe(script(), "--download-only").returncode == 0
    if "RAM" in words:
        assert system.pipe(script(), "--ignore-ram").returncode == 0


def test_who_is_not_root_or_has_no_space_is_told(
    release: Release, rescue: MakeRescue, served: Shop
) -> None:
    system = rescue()
    system.root.chmod(0o755)
    done = system.pipe(script(), user=1000)
    assert done.returncode == 3
    assert "- you are not root" in done.stderr
    assert "- /root is not writable" in done.stderr
    df = "#!/bin/sh\necho\necho /dev/sda1 9000 8900 100 99% /\n"
    system.lacks("df")
    system.write("bin/df", df, 0o755)
    done = system.pipe(script())
    assert done.returncode == 3
    assert "- /root has 0 MiB of space, and 1 MiB are needed" in done.stderr
    assert served.asked == []


def test_options_choose_variant_folder_and_how_far_it_goes(
    release: Release, rescue: MakeRescue
) -> None:
    system = rescue()
    done = system.pipe(script(), "--variant", "kexec-installer-noninteractive", "--dir", "/tmp/x y")
    assert done.returncode == 0, done.stderr
    assert system.ran == ["quietly 1.0"]
    assert "kexec/run" in system.files("tmp/x y")
    done = system.pipe(script(), "--download-only")
    assert (done.returncode, system.files("root/nixos-images")) == (0, [NAME])
    found = (system.root / "root/nixos-images" / NAME).read_bytes()
    assert hashlib.sha256(found).hexdigest() == release.artifacts.get(name=NAME).sha256
    helped = system.pipe(script(), "--help")
    assert helped.returncode == 0
    assert "--allowed-signers FILE" in helped.stdout
    for wrong in (["--what"], ["--dir"], ["--append"]):
        assert system.pipe(script(), *wrong).returncode == 2
    assert system.pipe(script(), "--variant=iso").returncode == 4
    assert len(system.ran) == 1


def test_machine_without_an_image_is_told(release: Release, rescue: MakeRescue) -> None:
    for machine, words in (("riscv64", "machines of riscv64"), ("aarch64", "aarch64-linux")):
        system = rescue()
        system.lacks("uname")
        system.write("bin/uname", f"#!/bin/sh\necho {machine}\n", 0o755)
        done = system.pipe(script())
        assert done.returncode == 4
        assert words in done.stderr


def test_run_that_refuses_is_told(demo: Channel, rescue: MakeRescue, served: Shop) -> None:
    release = published(demo, "1.0", served)
    data = tarball("#!/bin/sh\nexit 1\n")
    sha256 = hashlib.sha256(data).hexdigest()
    release.artifacts.filter(name=NAME).update(size=len(data), sha256=sha256)
    served.files[f"/{release.key(NAME)}"] = data
    done = rescue().pipe(script())
    assert done.returncode == 8
    assert "/root/nixos-images/kexec/run ended with 1; nothing was booted" in done.stderr


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


def keys(folder: Path, name: str, namespaces: str = "nixos-images") -> tuple[Path, str]:
    """A private key, and its line of allowed signers."""
    file = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)]
    subprocess.run(command, check=True)
    public = " ".join(file.with_suffix(".pub").read_text().split()[:2])
    return file, f'{name} namespaces="{namespaces}" {public}\n'


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


def test_rendered_script_is_clean_for_every_shell(release: Release, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(script())
    subprocess.run(["shellcheck", file], check=True)
    for shell in (["dash"], ["bash", "--posix"], ["busybox", "ash"]):
        subprocess.run([*shell, "-n", file], check=True)


@pytest.mark.parametrize("word", ["it's", "$(reboot)", "a\nb", "`x`", '"', "\\", "é;reboot #"])
def test_words_of_rows_stay_words(release: Release, rescue: MakeRescue, word: str) -> None:
    other = ReleaseFactory(channel=release.channel, system=System.AARCH64, published=True)
    Release.objects.filter(pk=other.pk).update(status="withdrawn", reason=f"so {word}")
    system = rescue()
    system.lacks("uname")
    system.write("bin/uname", "#!/bin/sh\necho aarch64\n", 0o755)
    done = system.pipe(script())
    assert done.returncode == 4, done.stderr
    assert f"was withdrawn: {screen(f'so {word}')}\n" in done.stderr


def test_answers_are_plain_and_nothing_that_is_gone_is_offered(
    client: Client, release: Release
) -> None:
    response = client.get("/k/demo", headers={"accept-encoding": "gzip"})
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Length"] == str(len(response.content))
    for header in ("Content-Encoding", "Set-Cookie", "Vary", "Location"):
        assert header not in response
    Damage.objects.note(release, NAME, "other bytes", at=NOW)
    assert NAME not in client.get("/k/demo").content.decode()
    release.withdraw("eats\ndisks", at=NOW)
    for path, status in (("/k/demo", 404), ("/k/demo/1.0", 410), ("/k/x", 404), ("/k/demo/9", 404)):
        response = client.get(path)
        assert response.status_code == status
        assert all(line.startswith("# ") for line in response.content.decode().splitlines())
