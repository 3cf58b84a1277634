"""The acts that a page offers to who looks at it: what can be done now, and what can't and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse

from builds import pipeline
from builds.access import acts_allowed
from builds.choices import Act
from builds.models import Build, Channel, Release


@dataclass(frozen=True, slots=True)
class Offer:
    """One act: its label, the page that asks before it, and why it can't be done now, or ""."""

    label: str
    url: str
    refusal: str = ""


ON_RELEASE: tuple[tuple[Act, str, str, Callable[[Release], str]], ...] = (
    (Act.PUBLISH, "Publish", "release-publish", pipeline.refusal_to_publish),
    (Act.RETRY, "Retry what failed", "release-retry", pipeline.refusal_to_retry),
    (Act.CANCEL, "Cancel this release", "release-cancel", pipeline.refusal_to_cancel),
    (Act.ROLL_BACK, "Make it the latest again", "release-rollback", pipeline.refusal_to_roll_back),
    (Act.KEEP, "Keep it for good", "release-keep", pipeline.refusal_to_keep),
    (Act.STOP_KEEPING, "Stop keeping it", "release-unkeep", pipeline.refusal_to_stop_keeping),
    (Act.WITHDRAW, "Withdraw", "release-withdraw", pipeline.refusal_to_withdraw),
)


def offers_on(row: Channel | Release | Build, user: User | AnonymousUser) -> list[Offer]:
    """The acts on this row that this user may do, those first that can be done now."""
    allowed = acts_allowed(user)
    if not allowed:
        return []
    make = {Channel: _on_channel, Release: _on_release, Build: _on_build}[type(row)]
    offers: list[Offer] = make(row, allowed)  # type: ignore[operator]
    return sorted(offers, key=lambda offer: bool(offer.refusal))


def _on_channel(channel: Channel, allowed: frozenset[Act]) -> list[Offer]:
    if Act.TRIGGER not in allowed:
        return []
    url = reverse("trigger", args=[channel.name])
    systems = channel.systems()
    if not systems:
        return [Offer("Build now", url, f"{channel} has no targets: nothing is built of it.")]
    each = [Offer(f"Build {system} now", f"{url}?system={system}") for system in systems]
    return [Offer("Build all now", url), *each] if len(systems) > 1 else each


def _on_release(release: Release, allowed: frozenset[Act]) -> list[Offer]:
    return [
        Offer(label, reverse(url, args=[release.pk]), refusal(release))
        for act, label, url, refusal in ON_RELEASE
        if act in allowed
    ]


def _on_build(build: Build, allowed: frozenset[Act]) -> list[Offer]:
    found = []
    if Act.CANCEL in allowed:
        refusal = pipeline.refusal_to_cancel(build)
        if not refusal and build.cancel_requested_at is not None:
            refusal = "It was asked to stop, and is stopping."
        found.append(Offer("Cancel this build", reverse("build-cancel", args=[build.pk]), refusal))
    if Act.RETRY in allowed:
        refusal = pipeline.refusal_to_retry(build)
        found.append(Offer("Retry", reverse("build-retry", args=[build.pk]), refusal))
    return found
