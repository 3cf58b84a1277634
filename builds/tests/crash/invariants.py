"""What must hold after every case, whatever happened: an empty list, or what is wrong."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import connection

from builds.choices import BuildStatus, ReleaseStatus, Verdict
from builds.models import Artifact, Build, Check, Head, LogArchive, Release
from builds.pipeline import archive_logs, documents, naming, provenance
from builds.pipeline.publish import is_told
from builds.pipeline.signatures import known_keys, what_is_wrong
from builds.signing import PAPERS, opened
from builds.storage import artifacts, channel_key, public_key

NAMES = 4
VARIANTS = 2
DYING = 10.0  # seconds that the kernel may take on a busy machine
_STAYS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "build": ("builds_build", "status", sorted(BuildStatus.final()), []),
    "release": (
        "builds_release",
        "status",
        [ReleaseStatus.FAILED, ReleaseStatus.CANCELLED, ReleaseStatus.WITHDRAWN],
        [],
    ),
    "published": ("builds_release", "status", [ReleaseStatus.PUBLISHED], [ReleaseStatus.WITHDRAWN]),
    "check": ("builds_check", "verdict", [Verdict.PASSED, *sorted(Verdict.failed())], []),
}


def watch_ends() -> None:
    """Let the database itself note every change of what must never change."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE crash_changes (what text)")
        for name, (table, column, ends, allowed) in _STAYS.items():
            olds = ", ".join(f"'{end}'" for end in ends)
            news = ", ".join(f"'{end}'" for end in allowed) or "''"
            when = f"OLD.{column} IN ({olds}) AND NEW.{column} NOT IN ({news}, OLD.{column})"
            note = (
                f"INSERT INTO crash_changes VALUES ('{name} ' || OLD.id || ' went from ' "
                f"|| OLD.{column} || ' to ' || NEW.{column})"
            )
            for statement in _trigger(f"crash_{name}", table, when, note):
                cursor.execute(statement)
        when = f"OLD.status = '{ReleaseStatus.PUBLISHED}' AND NEW.published_at <> OLD.published_at"
        note = "INSERT INTO crash_changes VALUES ('release ' || OLD.id || ' was published twice')"
        for statement in _trigger("crash_twice", "builds_release", when, note):
            cursor.execute(statement)


def _trigger(name: str, table: str, when: str, note: str) -> list[str]:
    if connection.vendor == "sqlite":
        return [f"CREATE TRIGGER {name} AFTER UPDATE ON {table} WHEN {when} BEGIN {note}; END"]
    body = f"BEGIN {note}; RETURN NEW; END"
    make = f"CREATE TRIGGER {name} AFTER UPDATE ON {table} FOR EACH ROW WHEN ({when})"
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
        f"{make} EXECUTE FUNCTION {name}()",
    ]


def forget_changes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM crash_changes")


Keys = Callable[[], list[str]]


def wrongs(before: Release, storage: Keys | None) -> list[str]:
    """What is wrong now that the release after `before` should be the latest.

    With `storage`, orphans are collected, and what is left of them is wrong.
    """
    later = list(Release.objects.of(before.channel, before.system).exclude(pk=before.pk))
    if len(later) != 1:
        return [f"{len(later)} releases for one wish", *_changes()]
    [release] = later
    if not release.is_published:
        return [f"the release is {release.status}: {release.reason[:200]}", *_changes()]
    checks: list[Callable[[], Iterator[str]]] = [
        lambda: _rows(release, before),
        lambda: _files(release),
        lambda: _files(before),
        lambda: _papers(release),
        lambda: _provenance(release),
        lambda: _moving(release),
        _changes,
    ]
    if storage is not None:
        keys = storage
        checks.append(lambda: _strays(release, before, keys))
    return [wrong for check in checks for wrong in check()]


def torn() -> list[str]:
    """What a reader would find torn right now."""
    wrong = []
    for head in Head.objects.select_related("release__channel"):
        names = 0
        for artifact in head.release.artifacts.all():
            names += 1
            if _digest(artifact.key) != artifact.sha256:
                wrong.append(f"torn: {artifact.key} while it is the latest")
        if names != NAMES or head.release.status != ReleaseStatus.PUBLISHED:
            wrong.append(f"torn: the head names {head.release} with {names} files")
    return wrong


def _rows(release: Release, before: Release) -> Iterator[str]:
    if Head.objects.get(channel=release.channel, system=release.system).release_id != release.pk:
        yield "the head does not name it"
    if release.sequence != (before.sequence or 0) + 1:
        yield f"its sequence is {release.sequence}"
    done = [build for build in release.builds.all() if build.status == BuildStatus.SUCCEEDED]
    if len(done) != VARIANTS or len({build.variant for build in done}) != VARIANTS:
        yield f"{len(done)} builds succeeded"
    if Build.objects.active().exists():
        yield "a build is still active"
    if Check.objects.exclude(verdict=Verdict.PASSED).exists():
        yield "a check has not passed"
    for artifact in release.artifacts.all():
        if artifact.build_id not in {build.pk for build in done}:
            yield f"{artifact} is of build {artifact.build_id}"


def _files(release: Release) -> Iterator[str]:
    found = list(release.artifacts.all())
    if len(found) != NAMES:
        yield f"{release} has {len(found)} artifacts"
    for artifact in found:
        if _digest(artifact.key) != artifact.sha256:
            yield f"{artifact.key} has other bytes than its row says"


def _papers(release: Release) -> Iterator[str]:
    keys = known_keys()
    assert keys is not None
    for name, data in documents.papers(release).items():
        if artifacts().read(release.key(name)) != data:
            yield f"{name} is not what the rows say"
    for name in naming.unsigned_names(release.system):
        if wrong := what_is_wrong(release, name, keys):
            yield f"{name} is not signed: {wrong}"
        for each in naming.signature_names(name):
            if release.papers.get(each) != _digest(release.key(each)):
                yield f"{each} is not what is on record"


def _provenance(release: Release) -> Iterator[str]:
    keys = known_keys()
    assert keys is not None
    told, name = provenance.statement(release), naming.provenance_name(release.system)
    if told is not None:
        if wrong := what_is_wrong(release, name, keys):
            yield f"{name} is not signed: {wrong}"
        elif opened(artifacts().read(release.key(name)) or b"").payload != told:
            yield f"{name} is not what the rows say"
        if release.papers.get(name) != _digest(release.key(name)):
            yield f"{name} is not what is on record"


def _moving(release: Release) -> Iterator[str]:
    signature = naming.signature_names(naming.MOVING_SUMS)[0]
    if artifacts().read(channel_key(release.channel.name, signature)) is None:
        yield "the moving sums are not signed"
    if not is_told(release.channel.name):
        yield "the moving files do not say what the head says"


def _strays(release: Release, before: Release, storage: Keys) -> Iterator[str]:
    archive_logs(at=datetime.now(UTC) + timedelta(hours=1))  # as a tick does a minute later
    named = {channel_key(release.channel.name, name) for name in naming.moving_names()}
    named |= {public_key(name) for name in PAPERS}
    for one in (release, before):
        named |= {artifact.key for artifact in Artifact.objects.filter(release=one)}
        named |= {one.key(name) for name in naming.paper_names(one.system) | one.papers.keys()}
        named |= {log.key for log in LogArchive.objects.filter(build__release=one)}
    yield from (f"a leftover: {what}" for what in collect())
    for key in sorted(set(storage()) - named):
        yield f"an orphan: {key}"


def _changes() -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT what FROM crash_changes")
        yield from (f"an end did not stay: {what}" for [what] in cursor.fetchall())


def collect() -> list[str]:
    """Remove what was set aside and no build that runs may still settle; what can't be removed."""
    late = datetime.now(UTC) + timedelta(hours=1)
    artifacts().drop_leftovers(before=late)
    return artifacts().drop_leftovers(before=late, only_list=True)


def left_running(mark: str) -> list[str]:
    """Processes that carry this mark in their environment and are still there after a while."""
    until = time.monotonic() + DYING
    while (found := _marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def _marked(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append(f"a process is left: {(entry / 'comm').read_text().strip()}")
        except OSError:
            continue
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(key: str) -> str:
    data = artifacts().read(key)
    return digest(data) if data is not None else "nothing"
