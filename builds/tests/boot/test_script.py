"""Composed scripts say what was asked for and nothing else, whatever somebody types."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings

from builds.boot.handover import handover, handover_files
from builds.boot.options import BadOptions, BootOptions
from builds.boot.script import composed_path, composed_script
from builds.choices import System
from builds.models import Release
from builds.pipeline import documents
from builds.tests.boot.examples import anything, key
from builds.tests.boot.ipxe import commands, kernel_words
from builds.tests.downloads.conftest import stored_release
from builds.tests.models.rows import NOW, channel

FOLDER = "/releases/download/demo/1.0/"
KERNEL, INITRD = "bzImage-x86_64-linux", "initrd-x86_64-linux"


@pytest.fixture
def release(db: None) -> Release:
    return stored_release(channel(is_default=True), "1.0")


def options(**texts: str) -> BootOptions:
    return BootOptions.parse(texts)


def script_of(release: Release, given: BootOptions) -> str:
    script = composed_script(release, given)
    assert script is not None
    return script.decode()


def test_script_loads_the_archive_and_one_release(release: Release) -> None:
    asked = options(keys=key(), consoles="ttyS1,115200", params="quiet")
    assert script_of(release, asked).rstrip("\n").splitlines() == [
        "#!ipxe",
        "# demo 1.0 x86_64-linux",
        (
            "# Kernel and initrd are those of this one release. Add kernel parameters with: "
            "set cmdline …"
        ),
        (
            f"kernel {FOLDER}{KERNEL} initrd=handover.cpio initrd={INITRD} console=ttyS0 "
            "console=ttyS1,115200 quiet ${cmdline}"
        ),
        "initrd --name handover.cpio handover.cpio",
        f"initrd --name {INITRD} {FOLDER}{INITRD}",
        "boot",
    ]


def test_address_for_any_card_goes_with_the_card_that_ipxe_boots_from(release: Release) -> None:
    line = "BOOTIF=01-${netX/mac:hexhyp}"
    assert line in script_of(release, options(addresses="192.0.2.5/24"))
    named = options(addresses="192.0.2.5/24", card="52:54:00:12:34:56")
    assert line not in script_of(release, named)


def test_script_without_anything_to_hand_over_loads_no_archive(release: Release) -> None:
    script = script_of(release, options(params="quiet"))
    assert "handover" not in script
    assert [command[0] for command in commands(script)] == ["kernel", "initrd", "boot"]


def test_scripts_that_are_stored_stay_as_they_were(release: Release) -> None:
    script = documents.boot_script(release, moving=False)
    assert script is not None
    assert commands(script.decode(), cmdline="a b") == [
        ["kernel", KERNEL, f"initrd={INITRD}", "console=ttyS0", "a", "b"],
        ["initrd", "--name", INITRD, INITRD],
        ["boot"],
    ]


@given(anything)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_can_be_injected_into_a_script(release: Release, texts: dict[str, str]) -> None:
    try:
        asked = BootOptions.parse(texts)
    except BadOptions:
        return
    script = script_of(release, asked)
    extra = ["handover.cpio"] if handover_files(asked) else []
    card = ["BOOTIF=01-52-54-00-12-34-56"] if asked.is_for_any_card else []
    loaded = [f"initrd={name}" for name in (*extra, INITRD)]
    words = [*loaded, "console=ttyS0", *asked.kernel_params, *card, "from=user"]
    found = commands(script, cmdline="from=user", **{"netX/mac:hexhyp": "52-54-00-12-34-56"})
    assert found == [
        ["kernel", f"{FOLDER}{KERNEL}", *words],
        *(["initrd", "--name", name, name] for name in extra),
        ["initrd", "--name", INITRD, f"{FOLDER}{INITRD}"],
        ["boot"],
    ]
    assert kernel_words(" ".join(found[0][2:])) == words
    assert set(script) - set("\n") <= {chr(code) for code in range(32, 127)} | {"…"}


def test_portal_answers_script_and_archive_at_an_address(client: Client, release: Release) -> None:
    asked = options(keys=key(), hostname="rescue", params="quiet")
    script = client.get(composed_path(release, asked))
    archive = client.get(composed_path(release, asked).replace("netboot.ipxe", "handover.cpio"))
    assert script.status_code == archive.status_code == 200
    assert script.content == composed_script(release, asked)
    assert archive.content == handover(asked)
    assert script["Content-Type"] == "text/plain; charset=utf-8"
    assert script["Content-Length"] == str(len(script.content))
    assert "Content-Encoding" not in client.get(
        composed_path(release, asked), headers={"accept-encoding": "gzip"}
    )
    assert "Set-Cookie" not in script
    assert client.head(composed_path(release, asked)).status_code == 200
    assert client.post(composed_path(release, asked)).status_code == 405


def test_moving_address_follows_the_channel_and_the_pinned_one_stays(
    client: Client, release: Release
) -> None:
    asked = options(params="quiet")
    moving, pinned = composed_path(release, asked), composed_path(release, asked, pinned=True)
    stored_release(release.channel, "2.0")
    assert "/demo/2.0/bzImage" in client.get(moving).content.decode()
    assert "/demo/1.0/bzImage" in client.get(pinned).content.decode()


def test_wrong_options_are_named_in_plain_text(client: Client, release: Release) -> None:
    raw = BootOptions(hostname="a_b", params=("x;y",))
    for name in ("netboot.ipxe", "handover.cpio"):
        response = client.get(f"/boot/demo/x86_64-linux/{raw.segment}/{name}")
        assert response.status_code == 400
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        hostname, params = response.content.decode().splitlines()
        assert hostname.startswith("hostname: 'a_b' is no hostname")
        assert params.startswith("params: 'x;y'")


@pytest.mark.parametrize(
    "path",
    ["absent/x86_64-linux", "demo/aarch64-linux", "demo/riscv64-linux", "demo/9.9/x86_64-linux"],
)
def test_release_that_is_not_there_is_a_true_404(
    client: Client, release: Release, path: str
) -> None:
    response = client.get(f"/boot/{path}/e30/netboot.ipxe")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/plain")
    assert response.content.startswith(b"There is no published netboot of ")


def test_withdrawn_release_is_composed_no_more(client: Client, release: Release) -> None:
    pinned = composed_path(release, options(params="quiet"), pinned=True)
    release.withdraw("broken", at=NOW)
    assert client.get(pinned).status_code == 404


def test_both_systems_have_scripts_of_their_own(client: Client, release: Release) -> None:
    other = stored_release(release.channel, "1.0", System.AARCH64)
    path = reverse("composed-script", args=["demo", System.AARCH64, "e30"])
    assert client.get(path).content == composed_script(other, BootOptions())
    assert b"kernel /releases/download/demo/1.0/Image-aarch64-linux" in client.get(path).content
