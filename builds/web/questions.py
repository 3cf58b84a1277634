"""What each act does, in plain words, for the page that asks before it."""

from __future__ import annotations

from collections.abc import Sequence

from builds import pipeline
from builds.choices import BuildStatus, System
from builds.models import Build, Channel, Head, Release
from builds.web.confirm import Question, Why


def trigger(channel: Channel, systems: Sequence[System], wanted: str) -> Question:
    """Before a channel is built now."""
    names = " and ".join(systems)
    refusal = "" if systems else f"{channel} is not built for {wanted or 'any system'}."
    return Question(
        title=f"Build {channel} now{f' for {names}' if systems else ''}?",
        button="Build it now",
        happens=(
            "A new release is built and checked, even where the revision has not moved.",
            "Where one is in the making, that one goes on before all that the schedule asked for.",
            "When everything has passed, it becomes the latest.",
        ),
        refusal=refusal,
        back=channel.get_absolute_url(),
    )


def cancel(row: Build | Release) -> Question:
    """Before a build or a draft is stopped."""
    release = row.release if isinstance(row, Build) else row
    name = f"build {row.pk}, and {release} with it" if isinstance(row, Build) else str(row)
    running = release.builds.filter(status=BuildStatus.RUNNING).count()
    stopped = f"{running} running build{'s' if running != 1 else ''} stopped within seconds"
    return Question(
        title=f"Cancel {name}?",
        button="Cancel the release" if isinstance(row, Release) else "Cancel the build",
        happens=(
            f"A release is whole: what waits of it ends at once, and {stopped}."
            if running
            else "A release is whole: what waits of it ends at once.",
            "Nothing of it is published; the latest release stays as it is.",
            "What was built so far stays, so that it can be retried.",
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
        title=f"Retry what failed of {release}?",
        button="Retry",
        happens=(
            "The release becomes a draft again; its version and the files of what succeeded stay.",
            "Everything of it that did not succeed is built again.",
            "Checks that passed stand, unless a file is new.",
        ),
        refusal=pipeline.refusal_to_retry(row),
        back=row.get_absolute_url(),
    )


def publish(release: Release) -> Question:
    """Before a finished draft is published by hand."""
    head = Head.objects.of(release.channel.name, release.system)
    instead = f" instead of {head.release.version}" if head else ""
    return Question(
        title=f"Publish {release}?",
        button="Publish",
        happens=(
            f"It becomes the latest of {release.channel} for {release.system}{instead}.",
            "Its files can be downloaded from then on, and never change.",
        ),
        refusal=pipeline.refusal_to_publish(release),
        back=release.get_absolute_url(),
    )


def withdraw(release: Release) -> Question:
    """Before a release is taken back."""
    return Question(
        title=f"Withdraw {release}?",
        button="Withdraw",
        happens=(
            "Its files answer 410 Gone from now on, with the reason and the release in its place.",
            _head_after(release),
            "Its record stays. This can't be undone.",
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
        f"{head.release.version}, the latest now, stays published under its own name; withdraw it "
        "if nobody is to use it."
        if head
        else "No release is the latest now."
    )
    return Question(
        title=f"Roll back to {release}?",
        button="Roll back",
        happens=(
            f"It becomes the latest of {release.channel} for {release.system} again.",
            stays,
            "The next weekly build becomes the latest in its turn, if its revision has moved.",
        ),
        refusal=pipeline.refusal_to_roll_back(release),
        back=release.get_absolute_url(),
        why=Why.WANTED,
    )


def keep(release: Release) -> Question:
    """Before a release is kept for good."""
    return Question(
        title=f"Keep {release} for good?",
        button="Keep it",
        happens=("Its files are kept, whatever the rules of its channel say.",),
        refusal=pipeline.refusal_to_keep(release),
        back=release.get_absolute_url(),
        why=Why.WANTED,
        public=True,
    )


def stop_keeping(release: Release) -> Question:
    """Before its channel's rules hold for a release again."""
    channel = release.channel
    return Question(
        title=f"Stop keeping {release}?",
        button="Stop keeping it",
        happens=(
            f"The rules of {channel} hold for it again.",
            f"Its last {channel.keep_last} and those of {channel.keep_days} days stay, others go.",
        ),
        refusal=pipeline.refusal_to_stop_keeping(release),
        back=release.get_absolute_url(),
        why=Why.OPTIONAL,
    )


def _head_after(release: Release) -> str:
    name = f"{release.channel} for {release.system}"
    head = Head.objects.of(release.channel.name, release.system)
    if head is not None and head.release_id != release.pk:
        return f"The latest of {name} stays {head.release.version}."
    before = pipeline.head_without(release)
    if before is None:
        return f"No other release of {name} is published: none is left to download."
    return f"The latest of {name} becomes {before.version} again."
