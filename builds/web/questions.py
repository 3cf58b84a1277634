"""What each act does, in plain words, for the page that asks before it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext, ngettext

from builds import pipeline
from builds.choices import BuildStatus, System
from builds.models import Build, Channel, Head, Release
from builds.web.confirm import Question, Why


def trigger(channel: Channel, systems: Sequence[System], wanted: str) -> Question:
    """Before a channel is built now."""
    names = both(systems)
    return Question(
        title=gettext("Build {channel} now for {systems}?").format(channel=channel, systems=names)
        if systems
        else gettext("Build {channel} now?").format(channel=channel),
        button=gettext("Build it now"),
        happens=(
            gettext("A new release is built and checked, even where the revision has not moved."),
            gettext(
                "Where one is in the making, that one goes on before all that the schedule asked "
                "for."
            ),
            gettext("When everything has passed, it becomes the latest."),
        ),
        refusal="" if systems else _not_built_for(channel, wanted),
        back=channel.get_absolute_url(),
    )


def cancel(row: Build | Release) -> Question:
    """Before a build or a draft is stopped."""
    release = row.release if isinstance(row, Build) else row
    if isinstance(row, Build):
        title = gettext("Cancel build {number}, and {release} with it?")
        button = gettext("Cancel the build")
    else:
        title, button = gettext("Cancel {release}?"), gettext("Cancel the release")
    return Question(
        title=title.format(number=row.pk, release=release),
        button=button,
        happens=(
            _what_stops(release),
            gettext("Nothing of it is published; the latest release stays as it is."),
            gettext("What was built so far stays, so that it can be retried."),
        ),
        refusal=pipeline.refusal_to_cancel(row),
        back=row.get_absolute_url(),
        why=Why.OPTIONAL,
        public=True,
    )


def retry(row: Build | Release) -> Question:
    """Before what failed is tried again."""
    release = row.release if isinstance(row, Build) else row
    return Question(
        title=gettext("Retry what failed of {release}?").format(release=release),
        button=gettext("Retry"),
        happens=(
            gettext(
                "The release becomes a draft again; its version and the files of what succeeded "
                "stay."
            ),
            gettext("Everything of it that did not succeed is built again."),
            gettext("Checks that passed stand, unless a file is new."),
        ),
        refusal=pipeline.refusal_to_retry(row),
        back=row.get_absolute_url(),
    )


def publish(release: Release) -> Question:
    """Before a finished draft is published by hand."""
    head = Head.objects.of(release.channel.name, release.system)
    becomes = (
        gettext("It becomes the latest of {channel} for {system} instead of {version}.")
        if head
        else gettext("It becomes the latest of {channel} for {system}.")
    )
    return Question(
        title=gettext("Publish {release}?").format(release=release),
        button=gettext("Publish"),
        happens=(
            becomes.format(
                channel=release.channel,
                system=release.system,
                version=head.release.version if head else "",
            ),
            gettext("Its files can be downloaded from then on, and never change."),
        ),
        refusal=pipeline.refusal_to_publish(release),
        back=release.get_absolute_url(),
    )


def withdraw(release: Release) -> Question:
    """Before a release is taken back."""
    return Question(
        title=gettext("Withdraw {release}?").format(release=release),
        button=gettext("Withdraw"),
        happens=(
            gettext(
                "Its files answer 410 Gone from now on, with the reason and the release in its "
                "place."
            ),
            _head_after(release),
            gettext("Its record stays. This can't be undone."),
        ),
        refusal=pipeline.refusal_to_withdraw(release),
        back=release.get_absolute_url(),
        why=Why.WANTED,
        public=True,
    )


def roll_back(release: Release) -> Question:
    """Before an earlier release becomes the latest again."""
    head = Head.objects.of(release.channel.name, release.system)
    stays = (
        gettext(
            "{version}, the latest now, stays published under its own name; withdraw it if nobody "
            "is to use it."
        ).format(version=head.release.version)
        if head
        else gettext("No release is the latest now.")
    )
    return Question(
        title=gettext("Roll back to {release}?").format(release=release),
        button=gettext("Roll back"),
        happens=(
            gettext("It becomes the latest of {channel} for {system} again.").format(
                channel=release.channel, system=release.system
            ),
            stays,
            gettext(
                "The next weekly build becomes the latest in its turn, if its revision has moved."
            ),
        ),
        refusal=pipeline.refusal_to_roll_back(release),
        back=release.get_absolute_url(),
        why=Why.WANTED,
    )


def keep(release: Release) -> Question:
    """Before a release is kept for good."""
    return Question(
        title=gettext("Keep {release} for good?").format(release=release),
        button=gettext("Keep it"),
        happens=(gettext("Its files are kept, whatever the rules of its channel say."),),
        refusal=pipeline.refusal_to_keep(release),
        back=release.get_absolute_url(),
        why=Why.WANTED,
        public=True,
    )


def stop_keeping(release: Release) -> Question:
    """Before its channel's rules hold for a release again."""
    channel = release.channel
    return Question(
        title=gettext("Stop keeping {release}?").format(release=release),
        button=gettext("Stop keeping it"),
        happens=(
            gettext("The rules of {channel} hold for it again.").format(channel=channel),
            gettext("Its last {last} and those of {days} days stay, others go.").format(
                last=channel.keep_last, days=channel.keep_days
            ),
        ),
        refusal=pipeline.refusal_to_stop_keeping(release),
        back=release.get_absolute_url(),
        why=Why.OPTIONAL,
    )


def both(systems: Sequence[str]) -> str:
    """The names of systems as a sentence has them."""
    return gettext(" and ").join(systems)


def _not_built_for(channel: Channel, wanted: str) -> str:
    if wanted:
        said = gettext("{channel} is not built for {system}.")
        return said.format(channel=channel, system=wanted)
    return gettext("{channel} is not built for any system.").format(channel=channel)


def _what_stops(release: Release) -> str:
    running = release.builds.filter(status=BuildStatus.RUNNING).count()
    if not running:
        return gettext("A release is whole: what waits of it ends at once.")
    return ngettext(
        "A release is whole: what waits of it ends at once, and {count} running build stopped "
        "within seconds.",
        "A release is whole: what waits of it ends at once, and {count} running builds stopped "
        "within seconds.",
        running,
    ).format(count=running)


def _head_after(release: Release) -> str:
    head = Head.objects.of(release.channel.name, release.system)
    if head is not None and head.release_id != release.pk:
        said = gettext("The latest of {channel} for {system} stays {version}.")
        after: Release | None = head.release
    elif (after := pipeline.head_without(release)) is not None:
        said = gettext("The latest of {channel} for {system} becomes {version} again.")
    else:
        said = gettext(
            "No other release of {channel} for {system} is published: none is left to download."
        )
    version = after.version if after else ""
    return said.format(channel=release.channel, system=release.system, version=version)
