"""Follows another portal: its new releases are published here, what it withdraws is withdrawn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from builds.choices import ReleaseStatus, System, TransferKind
from builds.models import Actor, Channel, Followed, Head, LeaseLost, NotAllowed, Release
from builds.models.followed import EVERYWHERE
from builds.outward import NotThere, Unreachable
from builds.outward import Refused as RefusedAddress
from builds.pipeline import naming
from builds.pipeline.abroad.bring import (
    bring,
    counting,
    drop_old_parts,
    fetch_papers,
    store_papers,
    verify,
)
from builds.pipeline.abroad.site import Progress, Site, WrongBytes
from builds.pipeline.heartbeat import Heartbeat
from builds.pipeline.mirrored import Refused, parsed
from builds.pipeline.published import withdraw
from builds.pipeline.signed import check_signers
from builds.pipeline.taken import WRONG, Outcome, Source, channel_for, refusal, rehearse, take_in
from builds.points import point
from builds.storage import release_key

logger = logging.getLogger(__name__)

MISSED = (Unreachable, RefusedAddress, WrongBytes, NotAllowed, AttributeError, *WRONG)
Told = Callable[[str, int, int], object]  # of what, bytes that have come, bytes in all


class Busy(Exception):
    """Somebody else follows it right now; the text says who."""


@dataclass(frozen=True, slots=True)
class Lead:
    """One channel of a followed portal: its site, what it told, and who watches progress."""

    row: Followed
    site: Site
    channel: Channel
    lines: dict[tuple[str, str], dict[str, Any]]
    told: Told
    alive: Callable[[], None]
    at: datetime


def follow_all(*, worker: str, at: datetime) -> None:
    """Follow what the settings and the rows name; a row that somebody is at is left to them."""
    if settings.FOLLOW_URL:
        _remember_setting()
    for row in Followed.objects.active():
        try:
            for outcome in follow(row, worker=worker, at=at):
                logger.log(logging.WARNING if outcome.is_refused else logging.INFO, "%s", outcome)
        except (Busy, LeaseLost) as error:
            logger.info("%s", error)


def follow(
    row: Followed,
    *,
    worker: str,
    at: datetime,
    told: Told = lambda _name, _come, _size: None,
) -> Iterator[Outcome]:
    """Look once at a followed portal and take in what is new; what came of each thing.

    Raises Busy where somebody else is at it, LeaseLost where somebody took it over meanwhile.
    """
    if not row.hold(worker):
        raise Busy(f"{row} is followed right now by {row.worker}")
    errors = []
    try:
        with Heartbeat(row) as heartbeat:

            def alive() -> None:
                if heartbeat.lost:
                    raise LeaseLost(f"{row} is followed by somebody else by now")

            drop_old_parts()
            for outcome in _follow(row, told, alive, at):
                errors += [outcome.text] if outcome.is_refused else []
                yield outcome
            row.note(errors, at=at)
    finally:
        row.let_go()


def _follow(
    row: Followed, told: Told, alive: Callable[[], None], at: datetime
) -> Iterator[Outcome]:
    site = Site(row.url, EVERYWHERE, settings.FOLLOW_PATIENCE_SECONDS)
    heard = False
    for name in row.channels or list(Channel.objects.values_list("name", flat=True)):
        try:
            history = site.record(name, naming.history_name())
            heard = True
            lines = {(each["system"], each["version"]): each for each in history["releases"]}
            channel, was_built = channel_for(name)
            if was_built:
                yield Outcome("left", f"{name} is no longer built here: it comes from {row}")
            yield from _follow_channel(Lead(row, site, channel, lines, told, alive, at))
        except NotThere as error:
            if row.channels:
                yield refusal(f"channel {name}", error)
            heard = True
        except MISSED as error:
            yield refusal(f"channel {name}", error)
    if not heard and not row.channels:
        known = "none of the channels that this portal knows was read there"
        yield Outcome("refused", f"{row}: {known}; --channel names others")


def _follow_channel(lead: Lead) -> Iterator[Outcome]:
    yield from _withdrawals(lead)
    for system in lead.row.systems or System.values:
        try:
            yield from _follow_system(lead, System(system))
        except MISSED as error:
            yield refusal(f"{lead.channel} on {system}", error)


def _withdrawals(lead: Lead) -> Iterator[Outcome]:
    """What was withdrawn there is withdrawn here, with the same reason."""
    here = Release.objects.taken_from(lead.row.url).filter(channel=lead.channel)
    for release in here:
        line = lead.lines.get((release.system, release.version or ""), {})
        if line.get("status") == ReleaseStatus.WITHDRAWN:
            reason = str(line.get("reason") or "Withdrawn where it was made.")
            withdraw(release, reason, by=Actor(f"followed from {lead.row}"), at=lead.at)
            yield Outcome("withdrawn", f"{release}: {reason}")


def _follow_system(lead: Lead, system: System) -> Iterator[Outcome]:
    head = Head.objects.of(lead.channel.name, system)
    try:
        latest = lead.site.record(lead.channel.name, naming.latest_name(system))
    except NotThere:
        if head is not None:
            raise Refused(
                f"it has no latest any more, and {head.release} was not withdrawn"
            ) from None
        return
    number = int(latest["sequence"])
    _refuse_rollback(head, number, str(latest["version"]))
    for line in _wanted(lead, system, latest):
        if Release.objects.of(lead.channel, system).filter(version=line["version"]).exists():
            continue
        name = f"{lead.channel} {line['version']} {system}"
        try:
            signer = _take(lead, system, line)
            how = f"signed by {signer}" if signer else "only its digests were checked"
            yield Outcome("published", f"{name}, {how}")
        except MISSED as error:
            yield refusal(name, error)


def _refuse_rollback(head: Head | None, number: int, version: str) -> None:
    """What was never taken back stays the latest, whatever an old or forged copy says."""
    if head is None or head.release.sequence is None:
        return
    ours = head.release
    if number < head.release.sequence:
        raise Refused(f"it went back to {version}, number {number}, and {ours} was not withdrawn")
    if number == ours.sequence and version != ours.version:
        raise Refused(f"it calls {version} number {number}, which is {ours} here")


def _wanted(lead: Lead, system: System, latest: dict[str, Any]) -> list[dict[str, Any]]:
    """The newest published ones up to the latest, so many as are wanted, the oldest first."""
    told = [
        line
        for line in lead.lines.values()
        if line["system"] == system
        and line["status"] == ReleaseStatus.PUBLISHED
        and line["sequence"] < latest["sequence"]
    ]
    named = lead.lines.get((system, latest["version"]), latest)
    if named.get("status", ReleaseStatus.PUBLISHED) != ReleaseStatus.PUBLISHED:
        raise Refused(f"it calls {latest['version']} the latest, which is {named['status']} there")
    newest = sorted(told, key=lambda line: int(line["sequence"]), reverse=True)
    before = newest[: lead.row.last - 1]
    return [*reversed(before), named]


def _take(lead: Lead, system: System, line: dict[str, Any]) -> str:
    """Bring one release and publish it; whose signature was verified, "" where none was."""
    name = naming.manifest_name(system)
    key = release_key(lead.channel.name, str(line["version"]), name)
    found = parsed(key, lead.site.paper(key), lead.at)
    if (found.system, found.sequence) != (system, line["sequence"]):
        raise Refused(f"its manifest says number {found.sequence}, not {line['sequence']}")
    papers = fetch_papers(lead.site, found)
    signer = verify(found, papers, lead.row.allowed_signers)
    rehearse([(found, line)], at=lead.at)
    bring(lead.site, found, _progress(lead, str(found), found.size))
    store_papers(found, papers)
    point("follow: files stored")
    source = Source(TransferKind.FOLLOWED, lead.row.url, signer)
    take_in(lead.channel, found, line, source, at=lead.at)
    return signer


def _progress(lead: Lead, name: str, size: int) -> Progress:
    def tell(come: int) -> None:
        lead.alive()
        lead.told(name, come, size)

    return counting(tell)


def _remember_setting() -> None:
    """The row of FOLLOW_URL; what the settings say holds, and pinned keys are not unpinned."""
    fields: dict[str, Any] = {
        "channels": settings.FOLLOW_CHANNELS,
        "systems": settings.FOLLOW_SYSTEMS,
        "is_active": True,
    }
    if settings.FOLLOW_ALLOWED_SIGNERS:
        fields["allowed_signers"] = check_signers(Path(settings.FOLLOW_ALLOWED_SIGNERS).read_text())
    Followed.objects.remember(settings.FOLLOW_URL, **fields)
