"""What the page of a release shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import prefetch_related_objects
from django.http import HttpRequest
from django.utils.translation import gettext as _

from builds.boot.addresses import base_url, immutable_url, paper_url
from builds.boot.commands import BootCommand, boot_commands
from builds.models import Artifact, Build, Damage, Mirror, Release, Reproduction, Transfer
from builds.pipeline import Line, naming, publication, source_url
from builds.storage import content_type
from builds.web import states
from builds.web.build_page import StageStep, stage_steps
from builds.web.difference import Difference, difference, said_by
from builds.web.states import Making, State
from builds.web.waiting import making
from builds.web.words import public_ref


@dataclass(frozen=True, slots=True)
class Link:
    """A name and where it leads."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Document:
    """Provenance or SBOM: where it lies, and what it is."""

    title: str
    link: Link
    media_type: str


@dataclass(frozen=True, slots=True)
class FileRow:
    """One artifact; `url` is "" where its bytes can't be read, `damage` says what is wrong."""

    artifact: Artifact
    url: str
    damage: str
    downloads: int

    @property
    def anchor(self) -> str:
        """The id of the place on the page that holds its whole digest."""
        return f"sha256-{self.artifact.pk}"


@dataclass(frozen=True, slots=True)
class BuildRow:
    """One build with its stages."""

    build: Build
    state: State
    stages: tuple[StageStep, ...]


@dataclass(frozen=True, slots=True)
class ReleasePage:
    """All of it."""

    release: Release
    state: State
    making: Making | None
    expected_at: datetime | None
    checks_in_words: str
    reproduction: Reproduction | None
    is_latest: bool
    commands: tuple[BootCommand, ...]
    files: tuple[FileRow, ...]
    papers: tuple[Link, ...]
    documents: tuple[Document, ...]
    builds: tuple[BuildRow, ...]
    inputs: tuple[tuple[str, str], ...]
    source_url: str
    kernel_version: str
    nix_versions: str
    difference: Difference | None
    older: Release | None
    newer: Release | None
    successor: Release | None
    damages: tuple[Damage, ...]
    mirrors: tuple[Mirror, ...]
    mirrored: str
    transfer: Transfer | None


def release_page(
    release: Release, request: HttpRequest, *, successor: Release | None, at: datetime
) -> ReleasePage:
    """The page of one release; give it `with_contents()`, and the head that is not this one."""
    base = base_url(request)
    is_readable = release.is_published
    builds = sorted(release.builds.all(), key=lambda build: (build.variant, -build.attempt))
    older, newer = _neighbours(release)
    line = Line(at)
    under_way = making(release, line, at=at) if release.is_draft else None
    damages = tuple(Damage.objects.unmended().filter(release=release) if is_readable else ())
    is_latest = is_readable and successor is None
    reproduction = Reproduction.of(release)
    is_told = reproduction in Reproduction.found()
    return ReleasePage(
        release=release,
        state=under_way.state if under_way else states.release_state(release),
        making=under_way,
        expected_at=publication(release, line, at=at) if release.is_draft else None,
        checks_in_words=states.checks_in_words(release),
        reproduction=reproduction if is_readable and not is_told else None,
        is_latest=is_latest,
        commands=(tuple(boot_commands(release, base, pinned=not is_latest)) if is_readable else ()),
        files=_files(release, damages, base),
        papers=_papers(release, base) if is_readable else (),
        documents=_documents(release, base) if is_readable else (),
        builds=tuple(_build_row(build) for build in builds),
        inputs=tuple((name, public_ref(ref)) for name, ref in sorted(release.overrides.items())),
        source_url=source_url(release),
        kernel_version=said_by(builds, "kernel_version"),
        nix_versions=said_by(builds, "builder_version"),
        difference=difference(release, older) if release.published_at else None,
        older=older,
        newer=newer,
        successor=successor,
        damages=damages,
        mirrors=tuple(Mirror.objects.offering(release, at=at)) if is_readable else (),
        mirrored=release.key(naming.sums_name(release.system)) if is_readable else "",
        transfer=getattr(release, "transfer", None),
    )


def _files(release: Release, damages: Iterable[Damage], base: str) -> tuple[FileRow, ...]:
    wrong = {damage.name: damage.what for damage in damages}
    rows = []
    for artifact in release.artifacts.all():
        damage = wrong.get(artifact.name, "")
        is_readable = release.is_published and not damage
        url = immutable_url(base, artifact) if is_readable else ""
        rows.append(FileRow(artifact, url, damage, getattr(artifact, "download_count", 0)))
    return tuple(rows)


def _papers(release: Release, base: str) -> tuple[Link, ...]:
    others = naming.document_names(release.system)
    known = sorted((naming.paper_names(release.system) | release.papers.keys()) - {*others})
    # Of the signatures only those are there that the release came with.
    is_there = release.papers.keys() | naming.unsigned_names(release.system)
    names = [name for name in known if name in is_there]
    return tuple(Link(name, paper_url(base, release, name)) for name in names)


def _documents(release: Release, base: str) -> tuple[Document, ...]:
    """What tells how it was made, where the manifest names it."""
    provenance, sbom = naming.document_names(release.system)
    titles = {
        provenance: _("Provenance, signed: sources, settings, times, and the digest of each file"),
        sbom: _("SBOM: what is inside"),
    }
    return tuple(
        Document(title, Link(name, paper_url(base, release, name)), content_type(name))
        for name, title in titles.items()
        if name in release.papers
    )


def _build_row(build: Build) -> BuildRow:
    return BuildRow(build, states.build_state(build), tuple(stage_steps(build)))


def _neighbours(release: Release) -> tuple[Release | None, Release | None]:
    """The releases that were published before and after this one; the older one with its files."""
    known = Release.objects.of(release.channel, release.system).known_to_outside()
    place = release.published_at or release.created_at
    older = newer = None
    for each in known.around(place):
        assert each.published_at is not None, "what is known to the outside says when"
        if each.published_at < place:
            older = each
        else:
            newer = each
    if older and release.published_at:
        prefetch_related_objects([older], "artifacts", "builds")
    return older, newer
