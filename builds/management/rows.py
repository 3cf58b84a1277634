"""Rows by the names that a person types; a wrong one ends the command with one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import CommandError

from builds.choices import System, Variant
from builds.models import Channel, NotAllowed, Release


def channel_named(name: str) -> Channel:
    """The channel of this name."""
    try:
        return Channel.objects.get(name=name)
    except Channel.DoesNotExist:
        known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none at all"
        raise CommandError(f"there is no channel {name!r}; known are: {known}") from None


def systems_of(channel: Channel, wanted: str | None) -> list[System]:
    """The one system that is wanted, or all that the channel is built for."""
    systems = channel.systems()
    if wanted is None:
        return systems
    if wanted not in systems:
        known = ", ".join(systems) or "none at all"
        raise CommandError(f"{channel} is not built for {wanted!r}; known are: {known}")
    return [System(wanted)]


def variant_named(name: str) -> Variant:
    """The variant of this name."""
    if name not in Variant.values:
        raise CommandError(f"there is no variant {name!r}; known are: {', '.join(Variant.values)}")
    return Variant(name)


def release_named(channel: Channel, version: str, system: str) -> Release:
    """The release of this version; the last ones are named where there is none."""
    releases = Release.objects.of(channel, system).select_related("channel")
    found = releases.filter(version=version).first()
    if found is None:
        last = releases.exclude(version=None).values_list("version", flat=True)[:5]
        known = ", ".join(str(each) for each in last) or "none at all"
        raise CommandError(
            f"{channel} has no release {version!r} for {system}; the last are: {known}"
        )
    return found


@contextmanager
def one_line() -> Iterator[None]:
    """Turn what is not allowed into the command's one-line error."""
    try:
        yield
    except NotAllowed as refusal:
        raise CommandError(str(refusal)) from refusal
