"""Metalinks and torrents beside the downloads, read by aria2 and libtorrent."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libtorrent
import pytest
from django.test import Client

from builds.feeds.metalink import PREVIOUS
from builds.feeds.sources import sources_of
from builds.feeds.torrent import bencoded
from builds.models import Artifact, Damage, Pieces
from builds.pipeline import withdraw
from builds.tests.factories import NOW
from builds.tests.feeds.conftest import ISO, LARGE, Weeks
from builds.tests.webs import MakeWeb

SCHEMA = Path(__file__).parent / "metalink4.rng"
META4 = "{urn:ietf:params:xml:ns:metalink}"
OF_DEMO = "/releases/download/demo/initrd-x86_64-linux"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def decoded(torrent: bytes) -> Any:
    return libtorrent.bdecode(torrent)


def aria2(folder: Path, *words: str) -> None:
    options = ["--no-conf", "--enable-dht=false", "--max-tries=2", "--quiet"]
    subprocess.run(["aria2c", *options, *words], cwd=folder, check=True, timeout=120)


@pytest.mark.django_db(transaction=True)
def test_aria2_downloads_by_metalink_and_by_torrent(
    large: Artifact, make_web: MakeWeb, tmp_path: Path
) -> None:
    web = make_web()
    url = f"{web.url}/releases/download/large/{ISO}"
    for suffix, more in ((".meta4", ()), (".torrent", ("--seed-time=0",))):
        folder = tmp_path / suffix
        folder.mkdir()
        aria2(folder, *more, f"{url}{suffix}")
        assert sha256(folder / ISO) == large.sha256
    by_libtorrent(f"{web.url}/{large.key}.torrent", tmp_path / "libtorrent")
    assert sha256(tmp_path / "libtorrent" / ISO) == large.sha256


def by_libtorrent(url: str, folder: Path) -> None:
    """Fetch a torrent with curl and its file, without any peer, from the web seed."""
    folder.mkdir()
    subprocess.run(["curl", "-sSfo", "it.torrent", url], cwd=folder, check=True, timeout=30)
    session = libtorrent.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "ssrf_mitigation": False,
        }
    )
    wanted = libtorrent.add_torrent_params()
    wanted.ti = libtorrent.torrent_info(str(folder / "it.torrent"))
    wanted.save_path = str(folder)
    handle = session.add_torrent(wanted)
    deadline = time.monotonic() + 120
    while not handle.status().is_seeding:
        assert time.monotonic() < deadline, handle.status().state
        time.sleep(0.1)
    session.remove_torrent(handle)


def test_torrent_is_what_libtorrent_makes_of_the_same_file(
    client: Client, large: Artifact, storage_folder: Path, tmp_path: Path
) -> None:
    read = libtorrent.torrent_info(decoded(client.get(f"/{large.key}.torrent").content))
    (tmp_path / ISO).write_bytes((storage_folder / large.key).read_bytes())
    files = libtorrent.list_files(str(tmp_path / ISO))
    made = libtorrent.create_torrent(files, read.piece_length(), libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(made, str(tmp_path))
    theirs = libtorrent.torrent_info(made.generate())
    assert (read.num_pieces(), read.total_size()) == (4, LARGE)
    assert [read.hash_for_piece(n) for n in range(4)] == [
        theirs.hash_for_piece(n) for n in range(4)
    ]


def test_web_seeds_are_the_sources(client: Client, large: Artifact) -> None:
    read = decoded(client.get(f"/{large.key}.torrent").content)
    assert read[b"url-list"] == [url.encode() for url in sources_of(large, "http://testserver")]


def test_infohash_is_of_the_file_alone(client: Client, large: Artifact) -> None:
    hashes = {
        str(libtorrent.torrent_info(decoded(answer.content)).info_hash())
        for host in ("testserver", "localhost")
        for path in (f"/{large.key}.torrent", f"/releases/latest/download/{ISO}.torrent")
        for answer in [client.get(path, headers={"Host": host})]
    }
    assert len(hashes) == 1


def test_bencoding_sorts_keys() -> None:
    assert bencoded({"b": 1, "a": ["x", "yz"]}) == b"d1:al1:x2:yze1:bi1ee"


def test_metalink_has_size_digests_and_sources_of_one_release(
    client: Client, large: Artifact
) -> None:
    response = client.get(f"/releases/download/large/{ISO}.meta4")
    assert response["Content-Type"] == "application/metalink4+xml"
    root = ET.fromstring(response.content)
    [file] = root.findall(f"{META4}file")
    assert file.get("name") == ISO
    assert file.findtext(f"{META4}size") == str(LARGE)
    assert file.findtext(f"{META4}hash[@type='sha-256']") == large.sha256
    pieces = file.find(f"{META4}pieces")
    assert pieces is not None
    assert pieces.attrib == {"length": str(large.pieces.length), "type": "sha-1"}
    assert [each.text for each in pieces] == list(large.pieces.digests())
    urls = [(url.get("priority"), url.text) for url in file.findall(f"{META4}url")]
    assert urls == [("1", url) for url in sources_of(large, "http://testserver")]
    assert urls[0][1] == f"http://testserver/{large.key}"
    assert file.find(f"{META4}metaurl") is None, "aria2 would go on seeding"


def test_metalink_that_moves_tells_what_its_name_was_before(
    client: Client, stored_weeks: Weeks
) -> None:
    weeks = stored_weeks
    old = weeks.old.artifacts.get(name="initrd-x86_64-linux")
    withdraw(weeks.old, "it eats disks", by=None, at=NOW)

    [file] = ET.fromstring(client.get(f"{OF_DEMO}.meta4").content).findall(f"{META4}file")

    assert file.findtext(f"{META4}version") == "2.0"
    [before] = file.findall(f"{{{PREVIOUS}}}previous")
    assert before.attrib == {
        "version": "1.0",
        "published": "2026-11-13T12:00:00Z",
        "status": "withdrawn",
        "size": str(old.size),
    }
    assert [(each.tag, each.attrib, each.text) for each in before] == [
        (f"{{{PREVIOUS}}}hash", {"type": "sha-256"}, old.sha256)
    ]
    for path in (f"/{old.key.replace('1.0', '2.0')}", "/releases/download/nixos-26.05/" + old.name):
        assert PREVIOUS.encode() not in client.get(f"{path}.meta4").content, path


def test_metalink_is_valid_by_the_schema_of_rfc_5854(
    client: Client, weeks: Weeks, tmp_path: Path
) -> None:
    new = weeks.artifact("initrd-x86_64-linux")
    Pieces.objects.create(artifact=new, length=2**18, sha1=b"x" * 40, hashed_at=NOW)
    for number, path in enumerate((OF_DEMO, f"/{new.key}")):
        (tmp_path / f"{number}.meta4").write_bytes(client.get(f"{path}.meta4").content)
    files = sorted(tmp_path.glob("*.meta4"))
    command = ["xmllint", "--noout", "--relaxng", str(SCHEMA), *map(str, files)]
    assert PREVIOUS in files[0].read_text()
    subprocess.run(command, check=True, timeout=30)
    files[0].write_text(files[0].read_text().replace(f' xmlns="{PREVIOUS}"', ""))
    assert subprocess.run(command, check=False, timeout=30).returncode != 0, "it checks"


@pytest.mark.django_db(transaction=True)
def test_aria2_reads_a_metalink_that_tells_what_was_before(
    stored_weeks: Weeks, make_web: MakeWeb, tmp_path: Path
) -> None:
    web = make_web()
    aria2(tmp_path, f"{web.url}{OF_DEMO}.meta4")
    new = stored_weeks.artifact("initrd-x86_64-linux")
    assert sha256(tmp_path / new.name) == new.sha256


def test_torrent_that_is_not_made_yet_says_when_to_ask_again(client: Client, weeks: Weeks) -> None:
    response = client.get(f"{OF_DEMO}.torrent")
    assert (response.status_code, response["Retry-After"]) == (404, "600")
    assert "still being made" in response.content.decode()
    assert b"pieces" not in client.get(f"{OF_DEMO}.meta4").content
    Pieces.objects.create(
        artifact=weeks.artifact("initrd-x86_64-linux"), length=2**18, sha1=b"x" * 20, hashed_at=NOW
    )
    assert client.get(f"{OF_DEMO}.torrent").status_code == 200
    assert b"pieces" in client.get(f"{OF_DEMO}.meta4").content


@pytest.mark.parametrize("suffix", [".meta4", ".torrent"])
@pytest.mark.parametrize("before", ["", "/nix-community/nixos-images"])
def test_what_is_not_there_names_what_is(
    client: Client, weeks: Weeks, suffix: str, before: str
) -> None:
    for path, known in (
        (f"/releases/download/nowhere/initrd{suffix}", "Channels: demo, nixos-26.05."),
        (f"/releases/download/demo/nothing{suffix}", f"initrd-aarch64-linux{suffix}"),
        (f"/releases/download/demo/1.0/nothing{suffix}", f"initrd-x86_64-linux{suffix}"),
        (f"/releases/latest/download/nothing{suffix}", f"initrd-x86_64-linux{suffix}"),
    ):
        response = client.get(f"{before}{path}")
        assert response.status_code == 404
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert known in response.content.decode()


@pytest.mark.parametrize("suffix", [".meta4", ".torrent"])
def test_what_is_not_given_out_has_no_companions(client: Client, weeks: Weeks, suffix: str) -> None:
    withdraw(weeks.old, "It does not boot.", by=None, at=NOW)
    path = f"/releases/download/demo/1.0/initrd-x86_64-linux{suffix}"
    assert client.get(path).status_code == 410
    Damage.objects.note(weeks.new, "initrd-x86_64-linux", "It is missing.", at=NOW)
    assert client.get(f"{OF_DEMO}{suffix}").status_code == 410


def test_companions_never_run_in_a_browser(client: Client, weeks: Weeks) -> None:
    for path in (f"{OF_DEMO}.meta4", f"{OF_DEMO}.torrent", "/releases/download/no/no.meta4"):
        response = client.get(path)
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert response["X-Content-Type-Options"] == "nosniff"
