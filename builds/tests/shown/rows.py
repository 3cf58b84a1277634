"""Rows in all states that there are, as a portal has them that has run for half a year."""

from __future__ import annotations

from datetime import datetime, timedelta

from builds.choices import MirrorState, Origin, Role, System, TransferKind, Variant
from builds.models import (
    Channel,
    Followed,
    Mirror,
    MirrorCopy,
    MirrorHead,
    Release,
    Transfer,
)
from builds.tests.factories import BuildFactory, ChannelFactory, CheckFactory, ReleaseFactory

MIB = 2**20
SIZES = {
    Role.TARBALL: 431 * MIB,
    Role.INITRD: 402 * MIB,
    Role.KERNEL: 12 * MIB,
    Role.ISO: 900 * MIB,
}
RED_WEEKS = {3, 9}
LOG = [
    "evaluating derivation packages.x86_64-linux.netboot",
    "copying path '/nix/store/0c7kgpz0f7cqn9d5zzzzzzzzzzzzzzzz-linux-6.12.57' from a cache",
    "\x1b[32mbuilding\x1b[0m initrd",
    "<script>document.title = 'stolen'</script>",
    *(f"  CC      drivers/net/ethernet/part{number}.o" for number in range(60)),
    "y" * 300,
]
ALL = (Variant.NETBOOT, Variant.KEXEC_INSTALLER, Variant.ISO)


def rows_in_every_state(now: datetime) -> dict[str, str]:
    """Make them; the paths of their pages by a short name."""
    stable = ChannelFactory(
        name="nixos-26.05",
        title="NixOS 26.05, stable",
        is_default=True,
        variants=ALL,
        checks=["boot-kexec", "boot-netboot-bios", "boot-netboot-uefi"],
        end_of_life="2090-12-31",
    )
    unstable = ChannelFactory(name="nixos-unstable", title="NixOS unstable")
    old = ChannelFactory(name="nixos-25.11", title="NixOS 25.11", end_of_life="2020-06-30")
    _weeks(stable, now)
    ChannelFactory(name="demo", title="A small Linux that shows the whole way")
    published = ReleaseFactory(
        channel=stable,
        published=True,
        at=now - timedelta(days=2),
        sizes={**SIZES, Role.TARBALL: 436 * MIB},
    )
    late = ReleaseFactory(channel=old, published=True, sandboxed=False, at=now - timedelta(days=19))
    CheckFactory(release=late, name="boot-kvm", failed=True)
    fetched = ReleaseFactory(
        channel=old,
        published=True,
        at=now - timedelta(days=20),
        origin=Origin.HYDRA,
        source="https://hydra.nixos.org/eval/1821001",
    )
    fetched.builds.update(source="https://hydra.nixos.org/build/307541876", sandboxed=None)
    adopted = ReleaseFactory(
        channel=old,
        published=True,
        at=now - timedelta(days=21),
        origin=Origin.ADOPTED,
        source="from-ci",
        sandboxed=None,
    )
    withdrawn = ReleaseFactory(channel=unstable, withdrawn=True, at=now - timedelta(days=3))
    failed = ReleaseFactory(
        channel=unstable, failed=True, at=now - timedelta(hours=2), excerpt="x" * 300
    )
    skipped = ReleaseFactory(
        channel=stable, system=System.AARCH64, skipped=True, at=now - timedelta(hours=5)
    )
    draft = ReleaseFactory(channel=unstable, pinned=True, queue=False)
    _mirrors(published, now)
    Transfer.objects.create(
        release=late, kind=TransferKind.FOLLOWED, source="https://first.example.org", taken_at=now
    )
    builds = {
        "build-running": BuildFactory(release=draft, variant="iso", running=True, log=LOG),
        "build-waiting": BuildFactory(release=draft, variant="kexec-installer"),
        "build-lost": BuildFactory(release=draft, variant="netboot", lost=True),
        "build-failed": BuildFactory(
            release=draft, variant="netboot", attempt=2, failed=True, log=LOG
        ),
        "build-cancelled": BuildFactory(release=draft, variant="kexec-bundle", cancelled=True),
        "build": published.builds.order_by("pk").first(),
        "build-fetched": fetched.builds.order_by("pk").first(),
    }
    releases = {
        "release": published,
        "release-late": late,
        "release-fetched": fetched,
        "release-adopted": adopted,
        "release-withdrawn": withdrawn,
        "release-failed": failed,
        "release-unchanged": skipped,
        "release-draft": draft,
    }
    return {
        "dashboard": "/",
        "dashboard-ipxe": "/?method=ipxe",
        "dashboard-empty": "/?channel=demo",
        "channel": stable.get_absolute_url(),
        "channel-one-system": f"{stable.get_absolute_url()}?system=x86_64-linux",
        "channel-empty": "/channels/demo/",
        "latest": "/channels/nixos-26.05/x86_64-linux/",
        "latest-missing": "/channels/demo/x86_64-linux/",
        **{name: release.get_absolute_url() for name, release in releases.items()},
        "builds": "/builds/",
        "builds-filtered": "/builds/?status=failed&variant=netboot",
        **{name: build.get_absolute_url() for name, build in builds.items() if build},
        "status": "/status/",
        "mirrors": "/mirrors/",
        "stats": "/stats/?channel=nixos-26.05",
        "verify": "/verify/",
        "composer": "/boot/",
        "composer-wrong": "/boot/?channel=nixos-26.05&hostname=no_name&addresses=nonsense",
        "sign-in": "/accounts/login/",
        "not-found": "/channels/nowhere/",
    }


def _mirrors(release: Release, now: datetime) -> None:
    """A mirror in each state, of which one is offered, and a portal that is followed."""
    for state in MirrorState:
        mirror = Mirror.objects.create(
            url=f"https://{state}.example.org",
            title=f"University of {state.capitalize()}",
            country="AT",
            place="Graz",
            state=state,
            note="It lacks a file: initrd-x86_64-linux: answers 404." if state == "wrong" else "",
            checked_at=None if state == MirrorState.UNCHECKED else now - timedelta(minutes=20),
        )
        if state not in {MirrorState.FRESH, MirrorState.BEHIND}:
            continue
        is_fresh = state == MirrorState.FRESH
        MirrorHead.objects.create(
            mirror=mirror,
            channel=release.channel,
            system=release.system,
            version=release.version or "",
            behind=0 if is_fresh else 2,
            behind_since=None if is_fresh else now - timedelta(days=2),
            checked_at=now,
        )
        MirrorCopy.objects.create(mirror=mirror, release=release, is_right=is_fresh, checked_at=now)
    Followed.objects.create(url="https://first.example.org", heard_at=now - timedelta(days=3))


def _weeks(channel: Channel, now: datetime) -> list[Release]:
    """A release a week on both systems, now and then a red one."""
    return [
        ReleaseFactory(
            channel=channel,
            system=system,
            at=now - timedelta(days=2, weeks=week),
            sizes=SIZES,
            **{"failed" if system == System.AARCH64 and week in RED_WEEKS else "published": True},
        )
        for system in System
        for week in range(14, 0, -1)
    ]
