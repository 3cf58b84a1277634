"""Every command on every page: what it fetches, what it pins, that it stops at a wrong byte."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.test import Client

from builds.boot.ways import titles
from builds.choices import System
from builds.models import Artifact, Release
from builds.tests.boot.conftest import MakeRescue
from builds.tests.boot.examples import key
from builds.tests.boot.rescue import Shop
from builds.tests.downloads.conftest import stored_release
from builds.tests.models.rows import channel

pytestmark = pytest.mark.django_db

# What can't pin a digest: the program that reads it has no word for that, or what it fetches is
# to move on with the channel.
UNPINNED = {
    *("ipxe", "ipxe_channel", "dnsmasq", "dnsmasq_scripts"),  # iPXE loads by itself
    *("pixiecore_api", "terraform"),  # load by themselves
    "grub",  # reads the files that grub_files has verified
    "kexec_script",  # verifies what it fetches, but is itself the newest of its channel
}
IMMUTABLE = re.compile(
    r"http://testserver/(releases/download/[a-z]+/[0-9.]+/[^/ ]+"
    r"|boot/[a-z]+/[0-9.]+/[a-z0-9_-]+/[A-Za-z0-9_-]+/handover\.cpio)"
)


def shown(page: str) -> dict[str, str]:
    """The commands of a page by their elements' ids."""
    found = re.findall(r'<pre id="([\w-]+)"[^>]*>(.*?)</pre>', page, re.DOTALL)
    return {name: unescape(text) for name, text in found if name != "log"}


def pages(release: Release) -> list[str]:
    of, system = release.channel.name, release.system
    chosen = f"channel={of}&system={system}"
    typed = f"{chosen}&keys={key().replace('+', '%2B')}&hostname=rescue&addresses=192.0.2.5/24"
    return [
        *(f"/?{chosen}&method={method}" for method in titles()),
        *(f"/boot/?{typed}&method={method}" for method in titles()),
        f"/boot/?{chosen}",
        f"/channels/{of}/",
        f"/channels/{of}/{system}/",
        release.get_absolute_url(),
    ]


def test_every_command_fetches_only_what_never_changes_and_pins_its_digest(client: Client) -> None:
    of = channel(is_default=True)
    releases = [stored_release(of, "1.0", system) for system in System]
    digests = {file.name: file.sha256 for file in Artifact.objects.all()}
    seen: set[str] = set()
    for page in [page for release in releases for page in pages(release)]:
        method = page.rpartition("method=")[2]
        commands = shown(client.get(page, headers={"Accept": "text/html"}).content.decode())
        for name, text in commands.items():
            kind = method if name in {"command-text", "composed-main"} else name.partition("-")[2]
            seen.add(kind)
            if kind in UNPINNED:
                continue
            urls = re.findall(r"http://testserver[^\s'\")]+", text)
            assert urls, f"{page}: {name} fetches nothing: {text}"
            for url in urls:
                assert IMMUTABLE.fullmatch(url), f"{page}: {name} fetches {url}"
                file = url.rpartition("/")[2]
                [pin] = re.findall(
                    rf'echo "([0-9a-f]{{64}})  {re.escape(file)}" \| sha256sum', text
                )
                assert file not in digests or pin == digests[file]
                assert text.index(url) < text.index(f'  {file}" | sha256sum -c -')
    assert set(titles()) - {"iso"} <= seen, "and these releases have no ISO"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_kexec_as_the_page_shows_it_runs_the_right_bytes_and_unpacks_no_others(
    release: Release,
    served: Shop,
    rescue: MakeRescue,
    client: Client,
    shell: str,
) -> None:
    page = client.get(release.get_absolute_url()).content.decode()
    text = shown(page)["command-kexec"]
    machine = rescue(shell)
    done = machine.pipe(text)
    assert (done.returncode, machine.ran) == (0, ["1.0"]), done.stderr
    other = rescue(shell)
    for name, data in served.files.items():
        served.files[name] = data[:-1] + bytes([data[-1] ^ 1])
    done = other.pipe(text)
    assert done.returncode != 0
    assert other.ran == []
    assert not [file for file in other.files() if file.startswith("kexec/")], "nothing is unpacked"
