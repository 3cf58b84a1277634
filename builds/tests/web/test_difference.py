"""What changed between a release and the one before it, as its page says it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from builds.choices import Role
from builds.models import Build, Channel, Release
from builds.tests.factories import NOW, ChannelFactory, ReleaseFactory
from builds.tests.web.reading import text_of

pytestmark = pytest.mark.django_db

MIB = 2**20


@pytest.fixture
def channel() -> Channel:
    found: Channel = ChannelFactory(name="demo")
    return found


def published(channel: Channel, days: int, size: int = 400) -> Release:
    release: Release = ReleaseFactory(
        channel=channel,
        published=True,
        at=NOW - timedelta(days=days),
        sizes={Role.TARBALL: size * MIB, Role.INITRD: 300 * MIB, Role.KERNEL: 10 * MIB},
    )
    return release


def said(client: Client, release: Release) -> str:
    text = text_of(client.get(release.get_absolute_url()))
    return text[text.index("What changed") : text.index("What it is made of")]


def test_sizes_versions_and_revisions_are_compared(client: Client, channel: Channel) -> None:
    old, new = published(channel, 9), published(channel, 2, size=405)
    Build.objects.filter(release=old).update(kernel_version="6.12.50")
    text = said(client, new)
    assert f"since {old.version}" in text
    assert f"{old.revision[:7]}..{new.revision[:7]}" in text
    assert "6.12.50 → 6.12.57" in text
    assert "together 5.0 MiB larger" in text
    assert "nixos-kexec-installer-x86_64-linux.tar.gz 400 MiB 405 MiB 5.0 MiB larger" in text
    assert "same size, other content" in text


def test_files_that_came_and_went_are_named(client: Client, channel: Channel) -> None:
    old, new = published(channel, 9), published(channel, 2)
    old.artifacts.filter(role=Role.KERNEL).delete()
    new.artifacts.filter(role=Role.TARBALL).delete()
    text = said(client, new)
    assert "bzImage-x86_64-linux \u2013 10.0 MiB added" in text
    assert "nixos-kexec-installer-x86_64-linux.tar.gz 400 MiB \u2013 removed" in text


def test_same_bytes_are_said_to_be_the_same(client: Client, channel: Channel) -> None:
    old, new = published(channel, 9), published(channel, 2)
    for artifact in new.artifacts.all():
        digest = old.artifacts.get(name=artifact.name).sha256
        new.artifacts.filter(pk=artifact.pk).update(sha256=digest)
    assert "the same to the byte" in said(client, new)


def test_first_release_is_compared_with_nothing(client: Client, channel: Channel) -> None:
    page = client.get(published(channel, 2).get_absolute_url())
    assert "What changed" not in text_of(page)


def test_revision_leads_to_its_source_and_nobody_claims_a_signature(
    client: Client, channel: Channel
) -> None:
    release = published(channel, 2)
    page = client.get(release.get_absolute_url())
    source = f"https://github.com/example/images/commit/{release.revision}"
    assert f'href="{source}"' in page.content.decode()
    assert "unsigned: published before" in text_of(page)
