"""Releases as GitHub tells of them, read by PyGithub over HTTP."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from github import Github, GithubException
from github.Repository import Repository

from builds.models import Artifact, Release
from builds.pipeline import roll_back, withdraw
from builds.tests.factories import NOW, ReleaseFactory
from builds.tests.feeds.conftest import Weeks
from builds.tests.webs import MakeWeb

REPOSITORY = "nix-community/nixos-images"
RELEASES = f"/repos/{REPOSITORY}/releases"
INITRD = "initrd-x86_64-linux"


def repository(base: str, per_page: int = 30) -> Repository:
    client = Github(
        base_url=base, per_page=per_page, retry=None, seconds_between_requests=0, timeout=30
    )
    return client.get_repo(REPOSITORY)


def tags_of(response: Any) -> list[str]:
    assert response.status_code == 200
    return [record["tag_name"] for record in response.json()]


@pytest.mark.django_db(transaction=True)
def test_pygithub_finds_pages_and_downloads(
    stored_weeks: Weeks, make_web: MakeWeb, tmp_path: Path
) -> None:
    web = make_web()
    for root in ("", "/api/v3"):
        reads_all(repository(f"{web.url}{root}", per_page=2), stored_weeks, tmp_path / "initrd")


def reads_all(found: Repository, weeks: Weeks, path: Path) -> None:
    assert [release.tag_name for release in found.get_releases()] == [
        "demo",
        "nixos-26.05",
        "demo/2.0",
        "nixos-26.05/1.0",
        "demo/1.0",
    ]
    latest = found.get_latest_release()
    assert latest.tag_name == "demo"
    assert latest.published_at == weeks.new.published_at
    assert latest.target_commitish == weeks.new.revision
    assert found.get_release(latest.id).tag_name == "demo"
    old = found.get_release("demo/1.0")
    assert {asset.name for asset in old.assets} == {each.name for each in weeks.old.artifacts.all()}
    [asset] = [asset for asset in latest.assets if asset.name == INITRD]
    asset.download_asset(str(path))
    data = path.read_bytes()
    assert asset.size == len(data)
    assert asset.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    with pytest.raises(GithubException) as refused:
        found.get_release("nowhere")
    assert refused.value.status == 404
    assert "Tags: demo, nixos-26.05" in str(refused.value.data)


def test_tag_of_a_channel_has_both_systems_and_names_one_release_for_good(
    client: Client, weeks: Weeks
) -> None:
    record = client.get(f"{RELEASES}/tags/demo").json()
    assert record["immutable"] is False
    names = {asset["name"]: asset["browser_download_url"] for asset in record["assets"]}
    assert {"initrd-x86_64-linux", "initrd-aarch64-linux"} <= set(names)
    assert names[INITRD] == (
        f"http://testserver/{REPOSITORY}/releases/download/demo/2.0/initrd-x86_64-linux"
    )
    assert client.get(f"{names[INITRD]}.sha256").status_code == 200


def test_link_header_leads_through_all_pages_and_past_the_end_is_nothing(
    client: Client, weeks: Weeks
) -> None:
    first = client.get(f"{RELEASES}?per_page=2")
    assert tags_of(first) == ["demo", "nixos-26.05"]
    links = dict(re.findall(r'<([^>]+)>; rel="(\w+)"', first["Link"]))
    named = {name: url for url, name in links.items()}
    assert named == {
        "next": f"http://testserver{RELEASES}?per_page=2&page=2",
        "last": f"http://testserver{RELEASES}?per_page=2&page=3",
    }
    last = client.get(named["last"])
    assert tags_of(last) == ["demo/1.0"]
    assert {name for _, name in re.findall(r'<([^>]+)>; rel="(\w+)"', last["Link"])} == {
        "prev",
        "first",
    }
    assert tags_of(client.get(f"{RELEASES}?per_page=2&page=9")) == []
    assert "Link" not in client.get(RELEASES)
    assert len(tags_of(client.get(f"{RELEASES}?per_page=0&page=-1"))) == 1 + 4


def test_what_was_withdrawn_is_told_no_more(client: Client, weeks: Weeks) -> None:
    number = client.get(f"{RELEASES}/tags/demo/1.0").json()["id"]
    withdraw(weeks.old, "It does not boot.", by=None, at=NOW)
    assert "demo/1.0" not in tags_of(client.get(RELEASES))
    for path in (
        f"{RELEASES}/tags/demo/1.0",
        f"{RELEASES}/{number}",
        f"{RELEASES}/{number}/assets",
    ):
        response = client.get(path)
        assert response.status_code == 404
        assert "Tags: demo, nixos-26.05" in response.json()["message"]
    asset = weeks.old.artifacts.get(name=INITRD)
    assert client.get(f"{RELEASES}/assets/{asset.pk}").status_code == 404
    page = client.get(f"/{REPOSITORY}/releases/tag/demo/1.0")
    assert page["Location"] == weeks.old.get_absolute_url()


def test_rolled_back_channel_names_the_earlier_files(client: Client, weeks: Weeks) -> None:
    roll_back(weeks.old, "The newer one hangs.", by=None, at=NOW)
    record = client.get(f"{RELEASES}/tags/demo").json()
    places = {asset["name"]: asset["browser_download_url"] for asset in record["assets"]}
    assert "/demo/1.0/" in places["initrd-x86_64-linux"]
    assert "/demo/2.0/" in places["initrd-aarch64-linux"]


def test_numbers_of_channels_and_versions_never_meet(client: Client, weeks: Weeks) -> None:
    records = client.get(RELEASES).json()
    assert len({record["id"] for record in records}) == len(records)
    for record in records:
        again = client.get(f"{RELEASES}/{record['id']}").json()
        assert again == record
        assert client.get(f"{RELEASES}/{record['id']}/assets").json() == record["assets"]


def test_second_system_of_a_version_is_no_release_of_its_own(client: Client, weeks: Weeks) -> None:
    second = max(weeks.new.pk, weeks.new_aarch64.pk)
    assert client.get(f"{RELEASES}/{2 * second + 1}").status_code == 404


def test_who_accepts_bytes_only_is_led_to_the_file(client: Client, weeks: Weeks) -> None:
    asset = weeks.artifact(INITRD)
    path = f"{RELEASES}/assets/{asset.pk}"
    assert client.get(path).json()["digest"] == f"sha256:{asset.sha256}"
    led = client.get(path, headers={"Accept": "application/octet-stream"})
    assert led.status_code == 302
    assert led["Location"].endswith(f"/{REPOSITORY}/{asset.key}")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"/{REPOSITORY}/releases/latest", f"http://testserver/{REPOSITORY}/releases/tag/demo"),
        ("/releases/latest", f"http://testserver/{REPOSITORY}/releases/tag/demo"),
        (f"/{REPOSITORY}/releases/tag/demo", "/channels/demo/"),
        ("/releases/tag/demo/1.0", "/releases/demo/1.0/x86_64-linux/"),
        (f"/{REPOSITORY}", "/"),
        (f"/{REPOSITORY}/releases", "/"),
    ],
)
def test_pages_of_the_seed_lead_to_ours(
    client: Client, weeks: Weeks, path: str, place: str
) -> None:
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, place)
    assert client.get(place, follow=True).status_code == 200


def test_tag_that_is_not_there_names_those_that_are(client: Client, weeks: Weeks) -> None:
    for path in ("/releases/tag/nowhere", f"/{REPOSITORY}/releases/tag/demo/9.9"):
        response = client.get(path)
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/plain")
        assert "demo, nixos-26.05" in response.content.decode()
    other = client.get("/repos/octocat/hello-world/releases")
    assert (other.status_code, other["Content-Type"]) == (404, "application/json")


def test_releases_feed_has_the_seeds_address_too(client: Client, weeks: Weeks) -> None:
    path = f"/{REPOSITORY}/releases.atom"
    assert f'href="http://testserver{path}" rel="self"' in client.get(path).content.decode()


def test_empty_portal_answers_as_an_empty_repository(client: Client, db: None) -> None:
    assert client.get(RELEASES).json() == []
    assert client.get(f"{RELEASES}/latest").status_code == 404
    assert client.get(f"/{REPOSITORY}/releases/latest").status_code == 404


def test_answer_is_cached_by_its_etag_and_open_to_scripts(client: Client, weeks: Weeks) -> None:
    first = client.get(RELEASES)
    assert first["Access-Control-Allow-Origin"] == "*"
    assert first["Content-Length"] == str(len(first.content))
    assert client.get(RELEASES, headers={"If-None-Match": first["ETag"]}).status_code == 304
    head = client.head(RELEASES)
    assert (head["ETag"], head["Content-Length"]) == (first["ETag"], first["Content-Length"])
    assert client.post(RELEASES).status_code == 405
    Artifact.objects.filter(release=weeks.new).update(sha256="0" * 64)
    assert client.get(RELEASES)["ETag"] != first["ETag"]


def test_draft_is_nowhere(client: Client, weeks: Weeks) -> None:
    draft: Release = ReleaseFactory(channel=weeks.channel, pinned=True, version="3.0")
    assert "3.0" not in client.get(RELEASES).content.decode()
    assert client.get(f"{RELEASES}/tags/demo/{draft.version}").status_code == 404
    assert client.get(f"/releases/tag/demo/{draft.version}").status_code == 404
