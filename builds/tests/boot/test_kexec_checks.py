"""The script of /k/ says what would stop it, takes its options, and quotes what rows hold."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds.boot.kexec_script import kexec_script
from builds.boot.screen import screen
from builds.choices import System
from builds.models import Channel, Damage, Release
from builds.tests.boot.conftest import MakeRescue
from builds.tests.boot.examples import nasty
from builds.tests.boot.kexec import NAME, published, script
from builds.tests.boot.rescue import Shop, tarball
from builds.tests.factories import ReleaseFactory
from builds.tests.models.rows import NOW


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


texts = st.one_of(nasty, st.text()).map(lambda text: text.encode(errors="replace").decode())


@given(texts, texts, texts)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_word_is_more_than_a_word_to_a_shell(
    release: Release, name: str, base: str, reason: str
) -> None:
    name, base = name.replace("\0", ""), base.replace("\0", "")
    gone = Release(channel=release.channel, system=System.AARCH64, version="1.0", sequence=2)
    gone.status, gone.reason, gone.published_at, gone.pk = "withdrawn", reason, NOW, 0
    text = kexec_script([gone, release], name, base, f"{base}/k/{name}", at=NOW)
    assert text is not None
    functions, last = text.rstrip("\n").rsplit("\n", 1)
    assert last == '{ main "$@"; }'
    shown = (
        "choose_release aarch64-linux; choose_file x86_64-linux kexec-installer; "
        'printf \'%s\\0\' "$portal" "$channel" "$why" "$url"'
    )
    done = subprocess.run(["dash", "-c", f"{functions}\n{shown}"], capture_output=True, check=True)
    url = f"{base}/{release.key(NAME)}"
    why = screen(f"demo 1.0 aarch64-linux was withdrawn: {reason}", 400)
    assert done.stdout.decode().split("\0")[:-1] == [base, name, why, url]
    assert done.stderr == b""


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
