"""Rebuilds the database from the storage: channels, releases, files, checks, heads.

Not to be had back: users, drafts, releases that failed, consoles and logs of builds and checks,
earlier attempts, who pressed a button; of a channel that the catalogue does not know all but
its name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from builds.choices import ReleaseStatus, System
from builds.models import Channel, Head, HeadMove, Release
from builds.pipeline import naming
from builds.pipeline.mirrored import (
    Mirrored,
    Refused,
    Shelf,
    Trust,
    check_files,
    read,
    shelves,
    status_of,
    time_of,
)
from builds.pipeline.publish import write_moving
from builds.pipeline.signatures import known_keys
from builds.pipeline.signed import check_envelope, signer_of
from builds.pipeline.taken import (
    WRONG,
    Outcome,
    add,
    add_whole,
    bare_channel,
    line_fields,
    origin_fields,
)
from builds.storage import artifacts

logger = logging.getLogger(__name__)

History = dict[tuple[str, str], dict[str, Any]]


def restore(*, at: datetime, unsigned: bool = False) -> Iterator[Outcome]:
    """Make the rows that the storage tells of; what is there already stays as it is.

    Every file of a published release is hashed; one that does not match refuses its release.
    Where the release keys are known, a release that none of them has signed is refused, too, and
    one that came from elsewhere unless who is pinned has signed it; with `unsigned` one without
    any signature is taken, and what came from elsewhere. Raises OSError where the storage can't
    be listed.
    """
    trust = Trust(known_keys(), unsigned=unsigned)
    for shelf in shelves():
        try:
            yield from _restore_channel(shelf, at, trust)
        except WRONG as error:
            yield Outcome("refused", f"channel {shelf.channel}: {error}")


def _restore_channel(shelf: Shelf, at: datetime, trust: Trust) -> Iterator[Outcome]:
    outcomes = []
    for outcome in _outcomes(shelf, at, trust):
        outcomes.append(outcome)
        yield outcome
    # What was refused is told of in the files that move: they stay until it is put right.
    if not any(outcome.is_refused for outcome in outcomes):
        write_moving(shelf.channel)


def _outcomes(shelf: Shelf, at: datetime, trust: Trust) -> Iterator[Outcome]:
    history = shelf.history()
    channel = Channel.objects.filter(name=shelf.channel).first()
    if channel is None:
        channel = bare_channel(shelf.channel)
        yield Outcome("restored", f"channel {channel}: by its name only, and not active")
    came = set()
    for found in read(shelf):
        if isinstance(found, Refused):
            yield Outcome("refused", str(found))
            continue
        line = history.pop((found.system, found.version), None)
        outcome = _restored(channel, found, line or _told_by_latest(shelf, found), trust)
        if outcome.word == "restored":
            came.add((found.system, found.version))
        yield outcome
    yield from (_recorded(channel, line) for line in history.values())
    for system in System:
        said = shelf.latest(system).get("version")
        yield from _restore_head(channel, system, said, at, is_new=(system, said) in came)


def _told_by_latest(shelf: Shelf, found: Mirrored) -> dict[str, Any] | None:
    """What the latest record tells of a release, where the history is missing."""
    latest = shelf.latest(found.system)
    if latest.get("version") != found.version:
        return None
    return {"status": ReleaseStatus.PUBLISHED, "published_at": latest["published_at"]}


def _restored(
    channel: Channel, found: Mirrored, line: dict[str, Any] | None, trust: Trust
) -> Outcome:
    name = f"{channel} {found.version} {found.system}"
    if Release.objects.of(channel, found.system).filter(version=found.version).exists():
        return Outcome("known", name)
    try:
        status = status_of(line)
        signed_by = _signer_of(found, line, trust)
        if status == ReleaseStatus.PUBLISHED:
            check_files(found)
        with transaction.atomic():
            release = add_whole(channel, found, line, status, signed_by=signed_by)
    except WRONG as error:
        return Outcome("refused", f"{name}: {error}")
    return Outcome("restored", f"{name}, {release.get_status_display()}")


def _signer_of(found: Mirrored, line: dict[str, Any] | None, trust: Trust) -> str:
    """The id of the key of this portal that signed a release, "" for none. Raises Refused."""
    if not (line or {}).get("transfer"):
        return trust.signer_of(found)
    if trust.keys is not None and not trust.unsigned:
        _check_pinned(found)
    return ""


def _check_pinned(found: Mirrored) -> None:
    """Raises Refused where nobody whom the settings name has signed a release of elsewhere.

    The storage says that it is from elsewhere, and must not say whom to trust.
    """
    if not settings.FOLLOW_ALLOWED_SIGNERS:
        raise Refused(
            "it came from elsewhere, and FOLLOW_ALLOWED_SIGNERS names nobody who may have signed "
            "it; restore --unsigned takes it"
        )
    read_papers = {name: artifacts().read(found.key(name)) for name in found.paper_names}
    papers = {name: data for name, data in read_papers.items() if data is not None}
    pinned = Path(settings.FOLLOW_ALLOWED_SIGNERS).read_text()
    signer_of(papers, naming.unsigned_names(found.system), pinned)
    for name in filter(naming.is_envelope, found.documents):
        check_envelope(name, papers.get(name, b""), pinned)


def _recorded(channel: Channel, line: dict[str, Any]) -> Outcome:
    """A release without files: that there was one, so that nothing is named like it again."""
    name = f"{channel} {line['version']} {line['system']}"
    if Release.objects.of(channel, line["system"]).filter(version=line["version"]).exists():
        return Outcome("known", name)
    try:
        status = status_of(line)
        if status == ReleaseStatus.PUBLISHED:
            raise Refused("its manifest is missing")
        fields = {name: line[name] for name in ("version", "sequence", "revision", "trigger")}
        removed_at = time_of(line["expired_at"] or line["finished_at"])
        fields |= line_fields(line) | origin_fields(line) | {"files_removed_at": removed_at}
        with transaction.atomic():
            release = add(channel, System(line["system"]), status, fields)
    except WRONG as error:
        return Outcome("refused", f"{name}: {error}")
    return Outcome("restored", f"{name}, {release.get_status_display()}, without its files")


def _restore_head(
    channel: Channel, system: System, said: str | None, at: datetime, *, is_new: bool
) -> Iterator[Outcome]:
    """The head that the storage names, else the newest; one that is there stays.

    Save where the one that is named has come back only now, after it was refused before.
    """
    published = Release.objects.of(channel, system).published()
    has_head = Head.objects.of(channel.name, system) is not None
    if (has_head and not is_new) or not published.exists():
        return
    release = published.filter(version=said).first() or published[0]
    HeadMove.objects.derive(channel, system)
    Head.objects.move(release, at=release.published_at or at)
    if release.version != said:
        yield Outcome(
            "refused", f"the head of {channel} on {system}: {release.version}, not {said}"
        )
