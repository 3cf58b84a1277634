"""The menu and the scripts that pick a system, as iPXE would run them."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds.boot import standing
from builds.boot.menu import menu
from builds.boot.picked import picked
from builds.boot.screen import WIDTH, screen
from builds.choices import System
from builds.models import Channel, Damage, Host, Release
from builds.tests.boot.examples import FRAGMENTS, nasty
from builds.tests.boot.loader import Loader
from builds.tests.downloads.conftest import stored_release
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.models.rows import NOW, channel

PC, ARM = System.X86_64, System.AARCH64
NAMES = {"x86_64": PC, "i386": PC, "arm64": ARM, "aarch64": ARM}
KERNELS = {PC: "bzImage-x86_64-linux", ARM: "Image-aarch64-linux"}


@pytest.fixture
def demo(db: None) -> Channel:
    """A default channel with two versions on both systems."""
    of = channel(is_default=True, position=5)
    for version in ("1.0", "2.0"):
        for system in System:
            stored_release(of, version, system)
    return of


def booted(client: Client, path: str, **given: str) -> Loader:
    response = client.get(path)
    assert response.status_code == 200, response.content
    return Loader({"cmdline": "from=user", **given}).run(response.content.decode())


def loads(system: System, version: str, name: str = "demo") -> list[list[str]]:
    folder, initrd = f"/releases/download/{name}/{version}", f"initrd-{system}"
    line = [f"{folder}/{KERNELS[system]}", f"initrd={initrd}", "console=ttyS0", "from=user"]
    return [["kernel", *line], ["initrd", "--name", initrd, f"{folder}/{initrd}"], ["boot"]]


@pytest.mark.parametrize("architecture", NAMES)
@pytest.mark.parametrize(
    ("path", "version"),
    [("/boot.ipxe", "2.0"), ("/boot/demo.ipxe", "2.0"), ("/boot/demo/1.0.ipxe", "1.0")],
)
def test_machine_gets_kernel_and_initrd_of_one_release_of_its_own_system(
    client: Client, demo: Channel, path: str, version: str, architecture: str
) -> None:
    machine = booted(client, path, buildarch=architecture)
    assert machine.commands("kernel", "initrd", "boot") == loads(NAMES[architecture], version)


def test_menu_offers_each_channel_with_version_and_age_and_the_default_by_itself(
    client: Client, demo: Channel
) -> None:
    stored_release(channel("first", position=1), "7.0")
    machine = booted(client, "/boot.ipxe", buildarch="x86_64")
    assert list(machine.items)[-3:] == ["shell", "exit", "reboot"]
    first, second = list(machine.items.values())[:2]
    assert re.fullmatch(r"first: 7\.0, [0-9]+ (?:hour|day|week|month|minute)s? old - first", first)
    assert second.startswith("demo: 2.0, ")
    assert machine.commands("kernel", "initrd", "boot") == loads(PC, "2.0")
    [choose] = machine.commands("choose")
    assert choose == ["choose", "--timeout", "30000", "--default", "x86_64-linux-2", "selected"]


def test_timeout_that_was_set_before_the_menu_is_kept(client: Client, demo: Channel) -> None:
    machine = booted(client, "/boot.ipxe", buildarch="x86_64", **{"menu-timeout": "5"})
    assert machine.commands("choose")[0][2] == "5"


@pytest.mark.parametrize("label", ["shell", "exit", "reboot"])
@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "riscv64"])
def test_menu_has_ways_without_an_image(
    client: Client, demo: Channel, label: str, architecture: str
) -> None:
    text = client.get("/boot.ipxe").content.decode()
    machine = Loader({"buildarch": architecture}, chooses=[label]).run(text)
    assert machine.end == label
    assert machine.commands("kernel") == []


def test_menu_offers_a_system_only_what_it_can_netboot(client: Client, demo: Channel) -> None:
    stored_release(channel("pc-only"), "7.0", PC)
    ReleaseFactory(channel=ChannelFactory(name="no-netboot", variants=["iso"]), published=True)
    on_arm = booted(client, "/boot.ipxe", buildarch="arm64")
    assert [label for label in on_arm.items if "linux" in label] == ["aarch64-linux-1"]
    on_pc = booted(client, "/boot.ipxe", buildarch="x86_64")
    assert "no-netboot" not in " ".join(on_pc.items.values())
    assert "pc-only" in " ".join(on_pc.items.values())


def test_withdrawn_and_damaged_releases_are_not_offered(client: Client, demo: Channel) -> None:
    other = stored_release(channel("other"), "7.0")
    damage, _ = Damage.objects.note(other, KERNELS[PC], "other bytes", at=NOW)
    Release.objects.get(channel=demo, system=PC, version="2.0").withdraw("eats disks", at=NOW)
    machine = booted(client, "/boot.ipxe", buildarch="x86_64")
    assert machine.commands("kernel", "initrd", "boot") == loads(PC, "1.0")
    assert "other" not in " ".join(machine.items.values())
    damage.mended_at = NOW
    damage.save()
    assert "other: 7.0" in client.get("/boot.ipxe").content.decode()


def test_menu_of_an_empty_portal_waits_at_the_shell(client: Client, db: None) -> None:
    machine = booted(client, "/boot.ipxe", buildarch="x86_64")
    assert machine.end == "shell"
    assert "Nothing is published for x86_64-linux" in " ".join(machine.shown)
    assert machine.commands("choose") == [["choose", "--default", "shell", "selected"]]


def test_what_can_not_be_fetched_leads_back_and_leaves_nothing_loaded(
    client: Client, demo: Channel
) -> None:
    text = client.get("/boot.ipxe").content.decode()
    missing = frozenset({"/releases/download/demo/2.0/initrd-x86_64-linux"})
    chooses = ["x86_64-linux-1", "exit"]
    machine = Loader({"buildarch": "x86_64"}, chooses=chooses, missing=missing).run(text)
    assert machine.end == "exit"
    assert [command[0] for command in machine.commands("kernel", "initrd", "imgfree", "boot")] == [
        *("kernel", "initrd", "imgfree"),
    ]


@pytest.mark.parametrize("architecture", ["arm64", "riscv64", ""])
def test_system_that_a_channel_lacks_is_told_so_and_stops_at_the_shell(
    client: Client, db: None, architecture: str
) -> None:
    stored_release(channel(), "1.0", PC)
    for path, title in (("/boot/demo.ipxe", "demo"), ("/boot/demo/1.0.ipxe", "demo 1.0")):
        machine = booted(client, path, buildarch=architecture)
        assert machine.end == "shell"
        assert machine.commands("kernel", "initrd", "boot") == []
        said = " ".join(machine.shown)
        known = f"{title} has nothing for aarch64-linux."
        assert (known if architecture == "arm64" else f"{title}: nothing here is for") in said


def test_failed_download_is_told_and_stops_at_the_shell(client: Client, demo: Channel) -> None:
    text = client.get("/boot/demo.ipxe").content.decode()
    missing = frozenset({"/releases/download/demo/2.0/bzImage-x86_64-linux"})
    machine = Loader({"buildarch": "x86_64"}, missing=missing).run(text)
    assert machine.end == "shell"
    assert "could not be loaded" in " ".join(machine.shown)


def test_damaged_and_withdrawn_releases_say_so_on_the_screen(client: Client, demo: Channel) -> None:
    on_pc = Release.objects.get(channel=demo, system=PC, version="2.0")
    on_arm = Release.objects.get(channel=demo, system=ARM, version="2.0")
    Damage.objects.note(on_pc, KERNELS[PC], "other bytes", at=NOW)
    machine = booted(client, "/boot/demo.ipxe", buildarch="x86_64")
    assert machine.end == "shell"
    assert "damaged in the storage" in " ".join(machine.shown)
    on_arm.withdraw("eats ${disks}; || reboot\nboot", at=NOW)
    machine = booted(client, "/boot/demo/2.0.ipxe", buildarch="arm64")
    assert machine.end == "shell"
    assert "was withdrawn: eats ??disks?? ?? reboot boot." in " ".join(machine.shown)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/boot/absent.ipxe", 404),
        ("/boot/demo/9.9.ipxe", 404),
        ("/boot/absent/1.0.ipxe", 404),
        ("/boot/empty.ipxe", 404),
        ("/boot/demo/1.0.ipxe", 410),
    ],
)
def test_what_is_not_there_is_a_plain_404_or_410(
    client: Client, demo: Channel, path: str, status: int
) -> None:
    channel("empty")
    for release in Release.objects.filter(channel=demo, version="1.0"):
        release.withdraw("eats disks", at=NOW)
    response = client.get(path)
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/plain")
    assert "<" not in response.content.decode()


@pytest.mark.parametrize("path", ["/boot.ipxe", "/boot/demo.ipxe", "/boot/demo/2.0.ipxe"])
def test_answers_are_what_a_loader_can_read(client: Client, demo: Channel, path: str) -> None:
    response = client.get(path, headers={"accept-encoding": "gzip", "accept-language": "de"})
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Length"] == str(len(response.content))
    assert response["Cache-Control"] == "no-cache"
    for header in ("Content-Encoding", "Set-Cookie", "Location", "Vary"):
        assert header not in response
    assert response.content.startswith(b"#!ipxe\n")
    assert client.post(path).status_code == 405
    assert client.head(path)["Content-Length"] == response["Content-Length"]
    assert "://" not in response.content.decode()


def test_queries_are_few_however_many_channels_there_are(
    client: Client, demo: Channel, django_assert_max_num_queries: object
) -> None:
    for number in range(8):
        ReleaseFactory(channel__name=f"more-{number}", published=True)
    host = Host.objects.create(name="rescue-7", channel=demo)
    own = f"/boot/host/{host.token}.ipxe"
    of_channel = ("/boot/demo.ipxe", "/boot/demo/2.0.ipxe", "/k/demo", "/k/demo/2.0")
    for path in ("/boot.ipxe", *of_channel, own):
        with django_assert_max_num_queries(7):  # type: ignore[operator]
            assert client.get(path).status_code == 200


words = st.one_of(
    nasty, st.lists(st.sampled_from(FRAGMENTS), max_size=9).map("\n".join), st.text()
).map(lambda text: text.encode(errors="replace").decode().replace("\0", ""))  # as databases do


@given(words, words)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_that_somebody_typed_is_run(demo: Channel, title: str, reason: str) -> None:
    Channel.objects.filter(pk=demo.pk).update(title=title)
    Release.objects.filter(version="1.0", system=PC).update(status="withdrawn", reason=reason)
    given = {"buildarch": "x86_64", "cmdline": "from=user"}
    script = menu(standing.latest(), at=timezone.now()).decode()
    machine = Loader(dict(given)).run(script)
    assert machine.commands("kernel", "initrd", "boot") == loads(PC, "2.0")
    assert len(machine.items) == 4
    told = Loader(dict(given)).run(picked("demo 1.0", standing.of_version("demo", "1.0")).decode())
    assert told.end == "shell"
    assert told.commands("kernel", "initrd", "boot", "chain") == []
    for text in (script, screen(title)):
        assert all(32 <= ord(letter) < 127 or letter == "\n" for letter in text)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_screen_shows_one_short_line_of_plain_letters(text: str) -> None:
    shown = screen(text)
    assert len(shown) <= WIDTH
    assert re.fullmatch(r"[A-Za-z0-9 .,:/()+!?@=%*_-]*", shown)
    assert screen(shown) == shown
    assert screen("Züri é ß") == "Zuri e ?"
