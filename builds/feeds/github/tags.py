"""What a tag names: the latest of a channel (`demo`), or one version for good (`demo/1.0`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch

from builds.models import Artifact, Channel, Head, Release
from builds.models.release_queries import ReleaseQuerySet


@dataclass(frozen=True, slots=True)
class Tagged:
    """The releases that one tag names, one per system, and its number in GitHub's sense."""

    tag: str
    number: int
    releases: tuple[Release, ...]
    is_moving: bool

    @property
    def newest(self) -> Release:
        """The one that was published last."""
        return max(self.releases, key=lambda release: (release.published_at, release.pk))

    @property
    def artifacts(self) -> list[Artifact]:
        """The files of all its releases, by name."""
        files = [each for release in self.releases for each in release.artifacts.all()]
        return sorted(files, key=lambda artifact: artifact.name)

    @property
    def created_at(self) -> datetime:
        """When the first of them was begun."""
        return min(release.created_at for release in self.releases)


# One row of numbers for both kinds: even ones are channels, odd ones a version's first release.


def moving_tag(channel: Channel, releases: Sequence[Release]) -> Tagged:
    """The tag of a channel."""
    return Tagged(channel.name, 2 * channel.pk, tuple(releases), is_moving=True)


def version_tag(releases: Sequence[Release]) -> Tagged:
    """The tag of one version."""
    first = min(releases, key=lambda release: release.pk)
    return Tagged(
        f"{first.channel.name}/{first.version}", 2 * first.pk + 1, tuple(releases), is_moving=False
    )


def page(number: int, size: int) -> tuple[list[Tagged], int]:
    """One page of all tags, counted from 1, and how many tags there are.

    The channels come first, as the seed has them, then the versions, the newest first.
    """
    first, end = (number - 1) * size, number * size
    channels = list(Channel.objects.with_head().values_list("pk", flat=True))
    versions = Release.objects.published().versions()
    shown = versions[max(first - len(channels), 0) : max(end - len(channels), 0)]
    tags = [*_moving(channels[first:end]), *_versions(list(shown))]
    return tags, len(channels) + versions.count()


def by_name(tag: str) -> Tagged | None:
    """What a tag names; None where nothing of that name is published."""
    channel, _, version = tag.partition("/")
    if version:
        releases = list(_with_files().named(channel, version))
        return version_tag(releases) if releases else None
    row = Channel.objects.with_head().filter(name=channel).first()
    return _moving([row.pk])[0] if row else None


def by_number(number: int) -> Tagged | None:
    """The same by its number."""
    row, is_version = divmod(number, 2)
    if not is_version:
        found = _moving([row])
        return found[0] if found else None
    release = Release.objects.published().filter(pk=row).select_related("channel").first()
    tagged = by_name(f"{release.channel.name}/{release.version}") if release else None
    return tagged if tagged and tagged.number == number else None


def latest() -> Tagged | None:
    """The tag of the default channel, whose files /releases/latest/download/ gives."""
    default = Channel.objects.default()
    return by_name(default.name) if default else None


def _moving(channels: Sequence[int]) -> list[Tagged]:
    if not channels:
        return []
    heads = Head.objects.filter(channel__in=channels).select_related("channel")
    of_channel: dict[Channel, list[Release]] = defaultdict(list)
    for head in heads.prefetch_related(Prefetch("release", _with_files())).order_by("-system"):
        of_channel[head.channel].append(head.release)
    in_order = sorted(of_channel, key=lambda channel: channels.index(channel.pk))
    return [moving_tag(channel, of_channel[channel]) for channel in in_order]


def _versions(shown: Iterable[tuple[str, str]]) -> list[Tagged]:
    wanted = list(shown)
    if not wanted:
        return []
    of_version: dict[tuple[str, str], list[Release]] = {key: [] for key in wanted}
    for release in _with_files().in_versions(wanted):
        key = (release.channel.name, release.version or "")
        if key in of_version:
            of_version[key].append(release)
    return [version_tag(releases) for releases in of_version.values() if releases]


def _with_files() -> ReleaseQuerySet:
    files = Artifact.objects.with_downloads()
    published = Release.objects.published().select_related("channel").order_by("-system")
    return published.prefetch_related(Prefetch("artifacts", files))
