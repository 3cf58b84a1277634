"""The script that is piped to a shell; each value that it carries is quoted for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from django.template.loader import render_to_string

from builds.boot.addresses import immutable_url, moving_url, paper_url
from builds.boot.commands import first_artifact
from builds.boot.screen import screen
from builds.boot.standing import what_became
from builds.choices import Role, Variant
from builds.models import Artifact, Damage, Release
from builds.pipeline import documents, naming
from builds.pipeline.timestamps import over_at

VARIANTS = {
    Variant.KEXEC_INSTALLER: Role.TARBALL,
    Variant.KEXEC_INSTALLER_NONINTERACTIVE: Role.TARBALL,
    Variant.KEXEC_BUNDLE: Role.BUNDLE,
}
_LONGEST = 400  # letters of an explanation

Facts = dict[str, str]


def kexec_script(
    releases: Sequence[Release],
    channel: str,
    base: str,
    url: str,
    *,
    at: datetime,
    timestamps: Mapping[str, bytes] | None = None,
) -> str | None:
    """The script for these releases, one of each system; None where none can be kexec'd.

    `url` is where the script itself is. Damaged files are not in it. `timestamps`, by their files'
    names, say how long these are the latest; None: a version was asked for, which is never over.
    """
    damaged = Damage.objects.names(releases)
    files = [
        _file(artifact, release, base)
        for release in releases
        for artifact in _kexec_files(release, damaged.get(release.pk, set()))
    ]
    if not files:
        return None
    context = {
        "title": screen(channel),
        # It stands in a comment, which ends with its line.
        "url": shlex.quote("".join(url.split())),
        "base": shlex.quote(base),
        "channel": shlex.quote(channel),
        "made_at": shlex.quote(_moment(at)),
        "releases": [
            _release(release, base) | _latest(release, base, timestamps) for release in releases
        ],
        "files": files,
    }
    return render_to_string("boot/kexec.sh", context)


def _kexec_files(release: Release, damaged: set[str]) -> Iterator[Artifact]:
    """What can be run by kexec, as every system can unpack it: by gzip, or by itself."""
    if not release.is_published:
        return
    whole = [artifact for artifact in release.artifacts.all() if artifact.name not in damaged]
    for variant, role in VARIANTS.items():
        found = first_artifact(whole, role, variant)
        if found is not None and (role == Role.BUNDLE or found.name.endswith(".gz")):
            yield found


def _release(release: Release, base: str) -> Facts:
    why = "" if release.is_published else screen(f"{release} {what_became(release)}", _LONGEST)
    assert release.published_at is not None, "these were published once"
    return _quoted(
        system=release.system,
        version=release.version or "",
        sequence=str(release.sequence),
        published_at=_moment(release.published_at),
        sums_url=paper_url(base, release, naming.sums_name(release.system)),
        manifest_url=paper_url(base, release, naming.manifest_name(release.system)),
        why=why,
    )


def _latest(release: Release, base: str, timestamps: Mapping[str, bytes] | None) -> Facts:
    """Until when this is the latest, and where the signer says so; "" for what is not known."""
    if timestamps is None:
        return _quoted(expires_at="", timestamp_url="")
    name = naming.timestamp_name(release.system)
    until = over_at(timestamps.get(name)) or documents.expires_at(release)
    url = moving_url(base, release.channel.name, name) if name in timestamps else ""
    return _quoted(expires_at=_moment(until), timestamp_url=url)


def _file(artifact: Artifact, release: Release, base: str) -> Facts:
    declared = artifact.build.declared_memory if artifact.build else None
    return _quoted(
        system=release.system,
        variant=artifact.variant,
        name=artifact.name,
        size=str(artifact.size),
        sha256=artifact.sha256,
        url=immutable_url(base, artifact),
        least_ram=str(artifact.least_memory or declared or 0),
    )


def _quoted(**facts: str) -> Facts:
    return {name: shlex.quote(text) for name, text in facts.items()}


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
