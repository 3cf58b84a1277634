"""Every command on every page: what it fetches, what it pins, that it stops at a wrong byte."""

from __future__ import annotations

import re
from collections import defaultdict
from html import unescape
from urllib.parse import urldefrag, urlencode, urljoin, urlsplit

import pytest
from django.test import Client

from builds.boot.ways import titles
from builds.choices import System, Variant
from builds.models import Artifact, BuildRecord, Release
from builds.storage import artifacts
from builds.tests.boot.conftest import MakeRescue
from builds.tests.boot.examples import key
from builds.tests.boot.rescue import Rescue, Shop
from builds.tests.factories import ChannelFactory, ReleaseFactory, UserFactory, publish_held
from builds.tests.models.rows import NOW
from builds.tests.provenance.conftest import HOW

pytestmark = pytest.mark.django_db

IMAGES = (Variant.NETBOOT, Variant.KEXEC_INSTALLER, Variant.ISO)
USUAL = {"kexec", "kexec_script", "ipxe", "ipxe_channel", "iso", "nixos_anywhere"}
WAYS = USUAL | {
    *("dnsmasq", "dnsmasq_scripts", "pixiecore", "pixiecore_api", "grub", "grub_files", "qemu"),
    *("cloud_init", "terraform"),
}
PROOFS = {"ssh", "minisign", "manifest", "provenance", "cms", "root", "digest"}
# What is to move on with its channel: the newest script, which verifies what it fetches, or is
# read by iPXE.
MOVING = {"kexec_script", "ipxe", "ipxe_channel", "dnsmasq", "dnsmasq_scripts"}
# What names files that never change to programs that have no word for a digest.
UNPINNED = {"pixiecore_api", "terraform", "grub"}
# What reads files that the command beside it has brought.
BROUGHT = {"grub", "dnsmasq"}
NO_PAGES = ("/static/", "/releases/download/", "/admin/", "/api/", "/keys/", "/feed")
HANDOVER = re.compile(r"/boot/[a-z]+/[^/]+/[a-z0-9_-]+/[A-Za-z0-9_-]+/handover\.cpio")
FIGURE = re.compile(
    r'<figure class="command">\s*<pre id="([\w-]+)"[^>]*aria-label="(.*?) command">(.*?)</pre>',
    re.DOTALL,
)


def shown(page: str) -> dict[str, str]:
    """The commands of a page by their ways, or by what they prove."""
    methods = {title: method for method, title in titles().items()}
    found = {}
    for element, title, text in FIGURE.findall(page):
        kind = element.partition("-")[2]
        one_of_many = element in {"command-text", "composed-main"}
        found[methods.get(title, title) if one_of_many else kind] = unescape(text)
    return found


def published(system: System, **fields: object) -> Release:
    """A release of all kinds of images, of which is known how it was made."""
    release = ReleaseFactory(system=system, finished=True, version="1.0", **fields)
    for build in release.builds.all():
        BuildRecord.objects.note(build, HOW, log_sha256="cd" * 32)
    publish_held(release, NOW)
    assert release.is_published, release.reason
    return release


def crawled(client: Client) -> dict[str, str]:
    """Every page that a link leads to, by its address."""
    found: dict[str, str] = {}
    # So much that dnsmasq has to hand out a script in place of the address.
    much = urlencode({"keys": key(), "hostname": "rescue", "addresses": "192.0.2.5/24"})
    waiting = ["/", f"/boot/?{much}"]
    while waiting:
        address = waiting.pop()
        if address in found or address.startswith(NO_PAGES):
            continue
        answer = client.get(address, headers={"Accept": "text/html"})
        if not answer.get("Content-Type", "").startswith("text/html"):
            answer.close()
            continue
        found[address] = answer.content.decode()
        for link in re.findall(r'<a [^>]*?href="([^"]+)"', found[address]):
            there = urldefrag(urljoin(address, unescape(link)))[0]
            if not urlsplit(there).netloc:
                waiting.append(there)
        assert len(found) < 500, sorted(found)
    return found


def held(text: str, file: str) -> bool:
    """Whether a check of this file stands in a command: by a digest, or by a signature."""
    name = re.escape(file)
    checks = (
        rf'echo "[0-9a-f]{{64}}  {name}" \| sha256sum -c -',
        rf"grep ' {name}\$' SHA256SUMS-\S+ \| sha256sum -c -",
        rf"ssh-keygen -Y verify -f \w+ -I \S+ -n \S+ -s \S+ < {name}",
        rf"ssh-keygen -Y verify .* -s {name} <",
        rf"minisign -V -P \S+ -m {name.removesuffix(re.escape('.minisig'))}(\s|$)",
        rf"openssl cms -verify .*(-in|-content) {name} .*-CAfile boot-ca\.pem -no-CApath",
        rf"sha256sum < {name} \| cut .* statement\.json",
        rf"{name} \| openssl base64 [^\0]* openssl pkeyutl -verify -pubin -inkey release\.pem",
    )
    return any(re.search(check, text) for check in checks)


def test_every_command_on_every_page_pins_what_it_fetches_and_that_never_changes() -> None:
    of = ChannelFactory(name="demo", is_default=True, variants=IMAGES, checks=[])
    releases = [published(system, channel=of) for system in System]
    digests = {file.key: file.sha256 for file in Artifact.objects.all()}
    immutable = set(digests) | {each.key(name) for each in releases for name in each.papers}
    client = Client()
    client.force_login(UserFactory(admin=True))
    seen: dict[str, set[str]] = defaultdict(set)
    for address, page in crawled(client).items():
        for name, text in shown(page).items():
            seen[urlsplit(address).path].add(name)
            urls = re.findall(r"http://testserver/([^\s'\")]+)", text)
            assert urls or name in BROUGHT, f"{address}: {name} fetches nothing: {text}"
            for url in urls if name not in MOVING else ():
                what = f"{address}: {name} fetches {url}"
                file = url.rpartition("/")[2]
                is_key = name in PROOFS and url.startswith("keys/")
                assert url in immutable or is_key or HANDOVER.fullmatch(f"/{url}"), what
                assert name in UNPINNED or held(text.partition(url)[2], file), what
                for pin in re.findall(rf'echo "(\w+)  {re.escape(file)}" \| sha256sum', text):
                    assert pin == digests.get(url, pin), what
        assert "curl -" not in FIGURE.sub("", page), f"{address} shows one elsewhere"
    pages = {each.get_absolute_url(): USUAL for each in releases}
    pages |= {f"/channels/demo/{each.system}/": USUAL for each in releases}
    wanted = {"/": USUAL, "/boot/": WAYS, "/verify/": PROOFS, **pages}
    assert seen == wanted


def composed(client: Client, release: Release) -> dict[str, str]:
    """What the composer shows for a release, with a key and a name to hand over."""
    what = {"channel": release.channel.name, "system": release.system, "method": "kexec"}
    answer = client.get("/boot/", {**what, "keys": key(), "hostname": "rescue"})
    return shown(answer.content.decode())


def in_a_shell(name: str, text: str) -> str:
    """A command as whoever gets it runs it: cloud-init takes the script out of its YAML."""
    if name != "cloud_init":
        return text
    return "\n".join(line[4:] for line in text.partition("  - |\n")[2].splitlines())


def armed(machine: Rescue) -> Rescue:
    """Whatever a command would start leaves a mark instead."""
    machine.link("mktemp")
    for program in ("dd", "nix", "pixiecore", "qemu-system-x86_64"):
        (machine.root / "bin" / program).unlink(missing_ok=True)
        machine.write(f"bin/{program}", f"#!/bin/sh\necho {program} >> /ran\n", 0o755)
    return machine


RUNS = {
    "kexec": "1.0 --append systemd.hostname=rescue",
    "cloud_init": "1.0 --append systemd.hostname=rescue",
    "nixos_anywhere": "nix",
    "iso": "dd",
    "pixiecore": "pixiecore",
    "qemu": "qemu-system-x86_64",
    "grub_files": "",
}


@pytest.mark.parametrize("name", RUNS)
def test_command_as_the_page_shows_it_uses_the_right_bytes_and_no_others(
    name: str, release: Release, served: Shop, rescue: MakeRescue, client: Client
) -> None:
    if name in {"iso", "pixiecore", "qemu", "grub_files"}:
        of = ChannelFactory(name="netboots", variants=IMAGES, systems=[release.system], checks=[])
        release = published(System(release.system), channel=of)
    for file in release.artifacts.all():
        served.files[f"/{file.key}"] = artifacts().read(file.key) or b""
    found = composed(client, release)[name]
    for url in re.findall(rf"{served.url}(/boot/\S+/handover\.cpio)", found):
        served.files[url] = client.get(url).content
    text = in_a_shell(name, found)
    machine = armed(rescue())
    done = machine.pipe(text)
    assert (done.returncode, machine.ran) == (0, RUNS[name].splitlines()), done.stderr
    for path, data in list(served.files.items()):
        other = armed(rescue())
        asked = len(served.asked)
        served.files[path] = data[:-1] + bytes([data[-1] ^ 1])
        done = other.pipe(text)
        served.files[path] = data
        if path in {each for each, _ in served.asked[asked:]}:
            assert done.returncode != 0, path
            assert other.ran == [], path
            assert not other.files("root/kexec"), "nothing is unpacked"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_kexec_of_a_releases_page_runs_in_every_shell(
    release: Release, rescue: MakeRescue, client: Client, shell: str
) -> None:
    machine = rescue(shell)
    text = shown(client.get(release.get_absolute_url()).content.decode())["kexec"]
    done = machine.pipe(text)
    assert (done.returncode, machine.ran) == (0, ["1.0"]), done.stderr
