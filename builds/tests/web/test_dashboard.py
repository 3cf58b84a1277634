"""The dashboard: the command, the tabs, the matrix, in every state that a channel can have."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from builds.choices import Role, System
from builds.models import Build
from builds.tests.factories import BuildFactory, ChannelFactory, CheckFactory, ReleaseFactory
from builds.tests.web.reading import text_of
from builds.web.dashboard import gather

pytestmark = pytest.mark.django_db

X86, ARM = System.X86_64, System.AARCH64


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def test_dashboard_without_channels_says_what_to_do(client: Client) -> None:
    text = text_of(client.get("/"))
    assert "No channel is set up" in text


def test_channel_without_release_waits_for_its_slot_or_a_click_and_says_so(client: Client) -> None:
    ChannelFactory(name="nixos-unstable")
    text = text_of(client.get("/"))
    assert "not built yet waits for its slot on Sunday 03:00 UTC or an admin's click" in text
    assert "It waits for its slot on Sunday 03:00 UTC or an admin's click" in text
    assert "Nothing of nixos-unstable is published for x86_64-linux yet" in text


def test_inactive_channel_waits_for_a_click_only(client: Client) -> None:
    ChannelFactory(is_active=False)
    text = text_of(client.get("/"))
    assert "waits for an admin's click" in text
    assert "built by hand only" in text


def test_before_anything_is_published_the_first_build_is_what_one_sees(client: Client) -> None:
    ChannelFactory(name="nixos-26.05", is_default=True)
    draft = ReleaseFactory(channel=ChannelFactory(name="demo"), pinned=True, queue=False)
    BuildFactory(release=draft, running=True)
    response = client.get("/")
    assert "Nothing of demo is published for x86_64-linux yet" in text_of(response)
    assert "The first build is under way: building 41%" in text_of(response)
    assert draft.get_absolute_url() in response.content.decode()


def test_published_release_stands_with_command_digest_size_and_checks(client: Client) -> None:
    release = ReleaseFactory(
        channel__name="nixos-26.05",
        published=True,
        at=days_ago(2),
        sizes={Role.TARBALL: 412 * 1024 * 1024},
    )
    tarball = release.artifacts.get(role=Role.TARBALL)
    response = client.get("/")
    text = text_of(response)
    assert f"curl -fLO http://testserver/{tarball.key}" in text
    assert f'echo "{tarball.sha256}  {tarball.name}" | sha256sum -c -' in text
    assert f"{tarball.sha256[:8]}…{tarball.sha256[-8:]}" in text
    assert "412 MiB" in text
    assert "2 days ago" in text
    assert "verified before it runs" in text
    assert "booted in 1 of 1 ways, emulated" in text
    assert "published" in text
    exact = f'<time datetime="{release.published_at:%Y-%m-%dT%H:%M:%SZ}" title="'
    assert exact in response.content.decode()


def test_kvm_is_told_from_emulation(client: Client) -> None:
    release = ReleaseFactory(published=True)
    release.checks.update(accelerator="kvm")
    CheckFactory(release=release, name="boot-other", passed=True, accelerator="kvm")
    assert "booted in 2 of 2 ways, with KVM" in text_of(client.get("/"))


def test_tabs_work_as_links_without_javascript(client: Client) -> None:
    ReleaseFactory(channel__name="nixos-26.05", channel__is_default=True, published=True)
    demo = ReleaseFactory(channel__name="demo", system=ARM, published=True)
    body = client.get("/").content.decode()
    assert "?channel=demo&amp;system=x86_64-linux&amp;method=kexec#command" in body
    assert "?channel=nixos-26.05&amp;system=x86_64-linux&amp;method=ipxe#command" in body
    chosen = text_of(client.get("/?channel=demo&system=aarch64-linux&method=ipxe"))
    assert "Boot demo on aarch64" in chosen
    assert (
        "chain --autofree http://testserver/releases/download/demo/netboot-aarch64-linux.ipxe"
        in chosen
    )
    kernel = demo.artifacts.get(role=Role.KERNEL)
    assert f"Kernel {kernel.sha256[:8]}…{kernel.sha256[-8:]}" in chosen


@pytest.mark.parametrize(
    "query",
    [
        "?channel=nope",
        "?system=riscv",
        "?method=floppy",
        "?channel=<script>&system=%01&method=' or 1",
        "?channel=demo&channel=other",
        "?" + "x" * 3000,
    ],
)
def test_what_the_url_asks_for_and_nobody_knows_gives_the_usual(client: Client, query: str) -> None:
    ReleaseFactory(channel__name="demo", published=True)
    response = client.get(f"/{query}")
    assert response.status_code == 200
    assert "Boot demo on x86_64" in text_of(response)
    assert "<script>&" not in response.content.decode()


def test_default_channel_comes_first_and_another_where_it_has_nothing(client: Client) -> None:
    default = ChannelFactory(name="nixos-26.05", is_default=True, position=9)
    ReleaseFactory(channel__name="demo", published=True)
    assert "Boot demo on" in text_of(client.get("/"))
    ReleaseFactory(channel=default, published=True)
    assert "Boot nixos-26.05 on" in text_of(client.get("/"))


def test_channel_of_aarch64_only_is_shown_on_aarch64(client: Client) -> None:
    channel = ChannelFactory(name="arm-only", systems=[ARM])
    ReleaseFactory(channel=channel, system=ARM, published=True)
    assert "Boot arm-only on aarch64" in text_of(client.get("/"))


def test_failed_build_leaves_the_release_before_and_says_why(client: Client) -> None:
    channel = ChannelFactory()
    good = ReleaseFactory(channel=channel, published=True, at=days_ago(3))
    bad = ReleaseFactory(
        channel=channel, failed=True, at=days_ago(1), reason="netboot failed: no space left."
    )
    response = client.get("/")
    assert good.version in text_of(response)
    assert "last build failed: netboot failed: no space left" in text_of(response)
    assert bad.get_absolute_url() in response.content.decode()
    assert 'class="cell bar bad"' in response.content.decode()


def test_failure_older_than_the_head_is_history(client: Client) -> None:
    channel = ChannelFactory()
    ReleaseFactory(channel=channel, failed=True, at=days_ago(10))
    ReleaseFactory(channel=channel, published=True, at=days_ago(1))
    response = client.get("/")
    assert "last build failed" not in text_of(response)
    assert "1 published, 1 failed" in response.content.decode()


def test_first_build_that_failed_says_so_and_what_comes_next(client: Client) -> None:
    red = ReleaseFactory(failed=True, at=days_ago(1), reason="The source is not there: oh.")
    text = text_of(client.get("/"))
    build = red.builds.order_by("pk").first()
    assert f"last build failed: The source is not there: oh; red since build {build.pk}" in text
    assert "24 hours; waits for its slot" in text


def test_old_release_is_called_stale_by_its_true_age(client: Client) -> None:
    ReleaseFactory(published=True, at=days_ago(9))
    body = client.get("/").content.decode()
    assert "9 days old" in body
    assert 'class="cell bar warn"' in body


def test_release_whose_source_did_not_move_is_not_stale(client: Client) -> None:
    channel = ChannelFactory()
    ReleaseFactory(channel=channel, published=True, at=days_ago(20))
    ReleaseFactory(channel=channel, skipped=True, at=days_ago(2))
    text = text_of(client.get("/"))
    assert "20 days old" not in text
    assert "20 days ago" in text
    assert "checked 2 days ago: nothing new" in text


def test_withdrawn_release_is_told_beside_the_one_in_its_place(client: Client) -> None:
    channel = ChannelFactory()
    old = ReleaseFactory(channel=channel, published=True, at=days_ago(5))
    new = ReleaseFactory(channel=channel, published=True, at=days_ago(2))
    new.withdraw("It does not boot.", at=days_ago(1))
    text = text_of(client.get("/"))
    assert f"{new.version} withdrawn: It does not boot" in text
    assert f"/{old.version}/" in text


def test_end_of_life_is_said_in_words(client: Client) -> None:
    ChannelFactory(end_of_life=date(2020, 6, 30))
    ChannelFactory(end_of_life=date(2099, 6, 30))
    text = text_of(client.get("/"))
    assert "end of life since 30 June 2020: no more updates" in text
    assert "end of life on 30 June 2099" in text


def test_release_in_the_making_shows_the_progress_of_its_builds(client: Client) -> None:
    channel = ChannelFactory()
    ReleaseFactory(channel=channel, published=True)
    draft = ReleaseFactory(channel=channel, pinned=True)
    build = draft.builds.get(variant="netboot")
    Build.objects.filter(pk=build.pk).update(
        status="running",
        started_at=days_ago(0),
        lease_until=days_ago(-1),
        stage="build",
        derivations_done=1,
        derivations_expected=2,
    )
    assert "building 25%" in text_of(client.get("/"))


def test_system_that_a_channel_has_not_is_said(client: Client) -> None:
    ChannelFactory(systems=[X86])
    ChannelFactory()
    assert "not built for this architecture" in text_of(client.get("/"))


def test_number_of_queries_does_not_grow_with_channels(
    client: Client, django_assert_num_queries: Any
) -> None:
    def fill() -> None:
        channel = ChannelFactory()
        for system in System:
            ReleaseFactory(channel=channel, system=system, published=True, at=days_ago(9))
            ReleaseFactory(channel=channel, system=system, failed=True, at=days_ago(2))
            BuildFactory(
                release=ReleaseFactory(channel=channel, system=system, pinned=True, queue=False),
                running=True,
            )

    fill()
    client.get("/")
    queries = 8
    with django_assert_num_queries(queries):
        client.get("/")
    for _ in range(4):
        fill()
    with django_assert_num_queries(queries):
        client.get("/")


def test_a_week_has_one_square_and_twelve_are_shown() -> None:
    channel = ChannelFactory(systems=[X86])
    for days in (1, 8, 80, 90):
        ReleaseFactory(channel=channel, published=True, at=days_ago(days))
    ReleaseFactory(channel=channel, failed=True, at=days_ago(15))
    ReleaseFactory(channel=channel, skipped=True, at=days_ago(22))
    cell = gather(at=timezone.now()).rows[0].cells[0]
    assert cell is not None
    assert [week.outcome for week in cell.strip.weeks] == [
        "published", *["nothing"] * 7, "unchanged", "failed", "published", "published",
    ]  # fmt: skip
