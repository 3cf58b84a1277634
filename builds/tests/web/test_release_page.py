"""The page of a release, in every state that a release can have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.choices import Role, System
from builds.tests.factories import (
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    ReleaseFactory,
    UserFactory,
)
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def test_published_release_gives_commands_files_and_papers(client: Client) -> None:
    release = ReleaseFactory(
        channel__name="demo", published=True, version="26.05.1", at=days_ago(2)
    )
    response = client.get("/releases/demo/26.05.1/x86_64-linux/")
    text, body = text_of(response), response.content.decode()
    for title in ("Kexec", "iPXE", "nixos-anywhere"):
        assert title in text
    for artifact in release.artifacts.all():
        assert artifact.sha256 in text
        assert f'href="http://testserver/{artifact.key}"' in body
        assert f'href="http://testserver/{artifact.key}.sha256"' in body
    folder = "http://testserver/releases/download/demo/26.05.1"
    assert f'href="{folder}/SHA256SUMS-x86_64-linux"' in body
    assert f'href="{folder}/release-x86_64-linux.json"' in body
    assert release.revision in text
    assert "6.12.57" in text
    assert "nix (Nix) 2.8.0" in text
    assert "built in Nix's sandbox" in text
    assert "the weekly schedule" in text
    assert "published 2 days ago" in text


def test_sizes_are_in_words_with_the_bytes_in_the_title(client: Client) -> None:
    release = ReleaseFactory(published=True, sizes={Role.INITRD: 327_417_856})
    body = client.get(release.get_absolute_url()).content.decode()
    assert '<span title="327,417,856 bytes">312 MiB</span>' in body


def test_release_built_without_the_sandbox_says_so_plainly(client: Client) -> None:
    release = ReleaseFactory(published=True, sandboxed=False)
    assert "Built without Nix's sandbox" in text_of(client.get(release.get_absolute_url()))


def test_checks_show_verdict_seconds_and_what_they_ran_on(client: Client) -> None:
    release = ReleaseFactory(published=True)
    CheckFactory(
        release=release, name="boot-kvm", passed=True, accelerator="kvm", console="login: \x1b[1mhi"
    )
    text = text_of(client.get(release.get_absolute_url()))
    assert "8.2 s, emulated" in text
    assert "8.2 s, with KVM" in text
    assert "login: hi" in text


def test_failed_release_says_what_happened_and_what_is_still_the_latest(client: Client) -> None:
    channel = ChannelFactory()
    good = ReleaseFactory(channel=channel, published=True, at=days_ago(9))
    bad = ReleaseFactory(
        channel=channel,
        failed=True,
        at=days_ago(2),
        reason="The check boot-netboot-direct failed: kernel panic.",
        excerpt="Kernel panic - not syncing: <VFS>",
    )
    response = client.get(bad.get_absolute_url())
    text = text_of(response)
    assert response.status_code == 200
    assert "The check boot-netboot-direct failed: kernel panic." in text
    assert "Kernel panic - not syncing: <VFS>" in text
    assert f"The latest release is still {good.version}" in text
    assert "curl" not in text


def test_withdrawn_release_names_its_successor_and_links_no_file(client: Client) -> None:
    channel = ChannelFactory()
    old = ReleaseFactory(channel=channel, published=True, at=days_ago(9))
    bad = ReleaseFactory(
        channel=channel, withdrawn=True, at=days_ago(2), reason="It opens a shell to everyone."
    )
    response = client.get(bad.get_absolute_url())
    assert "It opens a shell to everyone." in text_of(response)
    assert f"In its place: {old.version}" in text_of(response)
    assert "/releases/download/" not in response.content.decode()


def test_older_release_points_to_the_latest_and_both_turn_to_each_other(client: Client) -> None:
    channel = ChannelFactory()
    old = ReleaseFactory(channel=channel, published=True, at=days_ago(9))
    new = ReleaseFactory(channel=channel, published=True, at=days_ago(2))
    assert f"This is not the latest release; that is {new.version}" in text_of(
        client.get(old.get_absolute_url())
    )
    script = f"/releases/download/{channel.name}/{old.version}/netboot-x86_64-linux.ipxe"
    assert f"chain --autofree http://testserver{script}" in text_of(
        client.get(old.get_absolute_url())
    ), "who reads of an old release boots that one"
    assert f"newer: {new.version}" in text_of(client.get(old.get_absolute_url()))
    assert f"older: {old.version}" in text_of(client.get(new.get_absolute_url()))


def test_draft_shows_progress_refreshes_and_moves_to_its_name(client: Client) -> None:
    draft = ReleaseFactory()
    url = f"/releases/drafts/{draft.pk}/"
    response = client.get(url)
    assert "waits to be planned" in text_of(response)
    assert 'data-refresh="3"' in response.content.decode()
    assert '<noscript><meta http-equiv="refresh"' in response.content.decode()
    named = ReleaseFactory(pinned=True, queue=False)
    BuildFactory(release=named, running=True)
    moved = client.get(f"/releases/drafts/{named.pk}/")
    assert moved.status_code == 302
    assert moved["Location"] == named.get_absolute_url()
    assert "building 41%" in text_of(client.get(named.get_absolute_url()))


def test_skipped_draft_says_that_nothing_moved(client: Client) -> None:
    draft = ReleaseFactory(skipped=True)
    response = client.get(f"/releases/drafts/{draft.pk}/")
    assert "nothing new" in text_of(response)
    assert "has not moved since the last release" in text_of(response)
    assert "data-refresh" not in response.content.decode()


def test_latest_shows_the_head_and_is_canonical_to_it(client: Client) -> None:
    release = ReleaseFactory(channel__name="demo", published=True)
    response = client.get("/channels/demo/x86_64-linux/")
    assert release.version in text_of(response)
    canonical = f'<link rel="canonical" href="http://testserver{release.get_absolute_url()}">'
    assert canonical in response.content.decode()


def test_latest_without_a_release_is_404_and_says_when_the_next_build_is(client: Client) -> None:
    channel = ChannelFactory(name="demo", systems=[System.X86_64])
    response = client.get("/channels/demo/x86_64-linux/")
    assert response.status_code == 404
    assert "waits for its slot on Sunday 03:00 UTC or an admin's click" in text_of(response)
    ReleaseFactory(channel=channel)
    assert "is under way" in text_of(client.get("/channels/demo/x86_64-linux/"))
    response = client.get("/channels/demo/aarch64-linux/")
    assert response.status_code == 404
    assert "demo is not built for aarch64-linux" in text_of(response)


@pytest.mark.parametrize(
    "url",
    [
        "/channels/nope/",
        "/channels/nope/x86_64-linux/",
        "/channels/demo/riscv64-linux/",
        "/releases/demo/1.2.3/x86_64-linux/",
        "/releases/drafts/99/",
        "/builds/99/",
        "/builds/99/log",
        "/nothing/here",
    ],
)
def test_what_is_not_there_is_a_404_in_the_portals_look(client: Client, url: str) -> None:
    ChannelFactory(name="demo")
    response = client.get(url)
    assert response.status_code == 404
    assert "There is nothing here" in text_of(response)
    assert "css/tokens.css" in response.content.decode()


def test_folder_on_this_machine_is_not_shown(client: Client) -> None:
    release = ReleaseFactory(published=True)
    type(release).objects.filter(pk=release.pk).update(
        flake="path:/srv/portal/images", overrides={"nixpkgs": "path:/home/me/nixpkgs"}
    )
    text = text_of(client.get(release.get_absolute_url()))
    assert "/srv" not in text
    assert "/home" not in text
    assert "a folder on this portal" in text


def test_name_of_the_admin_is_for_staff_only(client: Client) -> None:
    release = ReleaseFactory(published=True, triggered_by=UserFactory(username="mallory"))
    assert "mallory" not in text_of(client.get(release.get_absolute_url()))
    client.force_login(UserFactory(admin=True))
    assert "mallory" in text_of(client.get(release.get_absolute_url()))


def test_number_of_queries_does_not_grow_with_files(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    release = ReleaseFactory(published=True)
    with django_assert_max_num_queries(9):
        client.get(release.get_absolute_url())
