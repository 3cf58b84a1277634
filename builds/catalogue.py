"""The catalogue: a readable file that says which channels there are and what is built of each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from builds.choices import BuilderName, CheckName, System, Variant
from builds.models import Channel, Target
from builds.models.flake import flake_inputs, flake_ref, input_name

_SLOT = re.compile(r"(?P<day>[A-Za-z]+) (?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)")
_ATTRIBUTE = re.compile(Target.ATTRIBUTE)
_HEADER = re.compile(r"\s*\[(?P<name>[^\]]+)\]")
_PLACEHOLDERS = frozenset({"system", "variant", "host"})


class CatalogueError(Exception):
    """The catalogue is wrong; the text names file, line and reason."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One channel as the catalogue describes it."""

    name: str
    title: str
    flake: str
    attribute: str
    systems: tuple[System, ...]
    variants: tuple[Variant, ...]
    slot: str
    builder: BuilderName = BuilderName.NIX
    checks: tuple[str, ...] = ()
    checks_told: tuple[str, ...] = ()
    checks_after: tuple[str, ...] = ()
    ssh: bool = False
    overrides: dict[str, str] = field(default_factory=dict)
    revision_input: str = ""
    marker: str = ""
    end_of_life: date | None = None
    first_start: bool = False
    keep_last: int = 12
    keep_days: int = 90
    default: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading did, by names of channels."""

    added: tuple[str, ...]
    updated: tuple[str, ...]
    kept: tuple[str, ...]
    completed: tuple[str, ...] = ()
    """Sentences on checks that were added, so that every variant is booted by one that gates."""


def load(path: Path, *, update: bool = False) -> Loaded:
    """Make rows of the channels that are not there yet; with `update`, rewrite the others too.

    All or nothing. Raises CatalogueError.
    """
    entries = read(path)
    added: list[str] = []
    updated: list[str] = []
    kept: list[str] = []
    completed: list[str] = []
    with transaction.atomic():
        for position, entry in enumerate(entries):
            is_there = Channel.objects.filter(name=entry.name).exists()
            if is_there and not update:
                kept.append(entry.name)
                continue
            added_checks = missing_checks(entry)
            _write(entry, position, added_checks)
            if added_checks:
                completed.append(f"{entry.name} gets {', '.join(added_checks)}")
            (updated if is_there else added).append(entry.name)
    return Loaded(tuple(added), tuple(updated), tuple(kept), tuple(completed))


def missing_checks(entry: Entry) -> list[str]:
    """The checks without which a variant would be published that nobody has booted."""
    return [str(name) for name in CheckName.missing(entry.checks, entry.systems, entry.variants)]


def read(path: Path) -> list[Entry]:
    """The catalogue's channels in the file's order. Raises CatalogueError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{path}: {error}") from error
    return _Reader(path, text, document).entries()


class _Reader:
    """Turns the document into entries, and says where it is wrong."""

    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._document = document

    def entries(self) -> list[Entry]:
        unknown = set(self._document) - {"defaults", "channels"}
        if unknown:
            raise self._wrong("", min(unknown), "is neither [defaults] nor [channels.…]")
        defaults = self._document.get("defaults", {})
        channels = self._document.get("channels", {})
        entries = [self._entry(name, defaults, table) for name, table in channels.items()]
        defaults_chosen = [entry for entry in entries if entry.default]
        if len(defaults_chosen) > 1:
            name = defaults_chosen[1].name
            raise self._wrong(name, "default", f"{defaults_chosen[0].name} is the default already")
        return entries

    def _entry(self, name: str, defaults: dict[str, Any], table: dict[str, Any]) -> Entry:
        values = {**defaults, **table}
        for key in values:
            if key not in _READERS:
                raise self._wrong(name, key, f"is unknown; known are {', '.join(_READERS)}")
        for key in _REQUIRED:
            if key not in values:
                raise self._wrong(name, "", f"lacks “{key}”")
        fields: dict[str, Any] = {}
        for key, value in values.items():
            try:
                fields[key] = _READERS[key](value)
            except ValueError as error:
                raise self._wrong(name, key, str(error)) from error
        entry = Entry(name=name, **fields)
        self._check_row(entry)
        return entry

    def _check_row(self, entry: Entry) -> None:
        """Let the model's own validators have their say."""
        try:
            Channel(**_channel_fields(entry, 0)).clean_fields(
                exclude=["checks", "checks_told", "checks_after", "overrides"]
            )
        except ValidationError as error:
            key, messages = next(iter(error.message_dict.items()))
            raise self._wrong(entry.name, key, " ".join(messages)) from error

    def _wrong(self, channel: str, key: str, reason: str) -> CatalogueError:
        line = self._line_of(channel, key)
        where = f"channel {channel}" if channel else "catalogue"
        what = f"{where}, {key}" if key else where
        return CatalogueError(f"{self._path}, line {line}: {what}: {reason}")

    def _line_of(self, channel: str, key: str) -> int:
        """The line of a channel's key, else of its header, else of the key in [defaults], else 1.

        tomllib keeps no positions, and a catalogue has one key a line.
        """
        found = {"": 1}
        table = ""
        for number, line in enumerate(self._lines, start=1):
            header = _HEADER.match(line)
            if header:
                table = header["name"].replace('"', "").removeprefix("channels.").strip()
                found.setdefault(table, number)
                found.setdefault(f"/{table.partition('.')[0]}", number)
            elif key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                found.setdefault(f"{table}/{key}", number)
        for place in (f"{channel}/{key}", f"defaults/{key}", channel, key, ""):
            if place in found:
                return found[place]
        return 1


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"wants text, not {value!r}")
    return value.strip()


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"wants true or false, not {value!r}")  # noqa: TRY004 - one kind of error
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"wants a whole number, not {value!r}")  # noqa: TRY004
    return value


def _day(value: Any) -> date:
    if not isinstance(value, date):
        raise ValueError(f"wants a date such as 2026-12-31, not {value!r}")  # noqa: TRY004
    return value


def _members(known: list[str], what: str) -> Callable[[Any], tuple[str, ...]]:
    def read_members(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"wants a list of at least one {what}")
        for member in value:
            if member not in known:
                raise ValueError(f"{member!r} is no {what}; known are {', '.join(known)}")
        return tuple(dict.fromkeys(value))

    return read_members


def _checks(value: Any) -> tuple[str, ...]:
    names = _later_checks(value)
    measuring = [name for name in names if CheckName(name).measures]
    if measuring:
        raise ValueError(f"{measuring[0]} measures and holds nothing back; put it in checks_after")
    return names


def _later_checks(value: Any) -> tuple[str, ...]:
    return () if value == [] else _members(CheckName.values, "check")(value)


def _told_checks(value: Any) -> tuple[str, ...]:
    names = _later_checks(value)
    booting = [name for name in names if CheckName(name).boots]
    if booting:
        raise ValueError(f"{booting[0]} boots, and what does not boot is held back: see checks")
    return names


def _systems(value: Any) -> tuple[System, ...]:
    return tuple(System(name) for name in _members(System.values, "system")(value))


def _variants(value: Any) -> tuple[Variant, ...]:
    return tuple(Variant(name) for name in _members(Variant.values, "variant")(value))


def _builder(value: Any) -> BuilderName:
    if value not in BuilderName.values:
        raise ValueError(f"{value!r} is no builder; known are {', '.join(BuilderName.values)}")
    return BuilderName(value)


def _overrides(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(ref, str) for ref in value.values()):
        raise ValueError("wants a table of flake refs by the input's name")
    _allowed(flake_inputs, value)
    return value


def _flake(value: Any) -> str:
    ref = _text(value)
    _allowed(flake_ref, ref)
    return ref


def _input(value: Any) -> str:
    name = _text(value)
    _allowed(input_name, name)
    return name


def _allowed(check: Callable[[Any], None], value: Any) -> None:
    try:
        check(value)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from error


def _attribute(value: Any) -> str:
    attribute = _text(value)
    if _ATTRIBUTE.fullmatch(attribute) is None:
        raise ValueError(
            f"wants an attribute path such as packages.x86_64-linux.netboot, not {value!r}"
        )
    unknown = set(re.findall(r"\{(\w*)\}", attribute)) - _PLACEHOLDERS
    if unknown:
        raise ValueError(f"{{{min(unknown)}}} can't be filled in; system, variant and host can")
    return attribute


def _slot(value: Any) -> str:
    slot = _text(value)
    match = _SLOT.fullmatch(slot)
    if match is None or match["day"].upper() not in Channel.Weekday.names:
        raise ValueError(f"wants a day and a time in UTC such as “Sunday 03:00”, not {value!r}")
    return slot


_READERS: dict[str, Callable[[Any], Any]] = {
    "title": _text,
    "flake": _flake,
    "builder": _builder,
    "attribute": _attribute,
    "systems": _systems,
    "variants": _variants,
    "slot": _slot,
    "checks": _checks,
    "checks_told": _told_checks,
    "checks_after": _later_checks,
    "ssh": _flag,
    "overrides": _overrides,
    "revision_input": _input,
    "marker": _text,
    "end_of_life": _day,
    "first_start": _flag,
    "default": _flag,
    "keep_last": _number,
    "keep_days": _number,
}
_REQUIRED = ("title", "flake", "attribute", "systems", "variants", "slot")


def _channel_fields(entry: Entry, position: int) -> dict[str, Any]:
    match = _SLOT.fullmatch(entry.slot)
    assert match is not None, "the reader refuses other slots"
    return {
        "name": entry.name,
        "title": entry.title,
        "position": position,
        "builder": entry.builder,
        "flake": entry.flake,
        "overrides": entry.overrides,
        "revision_input": entry.revision_input,
        "checks": list(entry.checks),
        "checks_told": list(entry.checks_told),
        "checks_after": list(entry.checks_after),
        "ssh": entry.ssh,
        "marker": entry.marker,
        "slot_weekday": Channel.Weekday[match["day"].upper()],
        "slot_time": time(int(match["hour"]), int(match["minute"])),
        "end_of_life": entry.end_of_life,
        "builds_at_first_start": entry.first_start,
        "is_default": entry.default,
        "keep_last": entry.keep_last,
        "keep_days": entry.keep_days,
    }


def _write(entry: Entry, position: int, added_checks: list[str]) -> None:
    if entry.default:
        Channel.objects.filter(is_default=True).exclude(name=entry.name).update(is_default=False)
    fields = _channel_fields(entry, position)
    before = Channel.objects.filter(name=entry.name).first()
    slot = fields["slot_weekday"], fields["slot_time"]
    if before is not None and (before.slot_weekday, before.slot_time) != slot:
        fields["slot_moved_at"] = timezone.now()
    fields["checks"] += added_checks
    channel, _ = Channel.objects.update_or_create(name=fields.pop("name"), defaults=fields)
    wanted = [(system, variant) for system in entry.systems for variant in entry.variants]
    for target in channel.targets.all():
        if (target.system, target.variant) not in wanted:
            target.delete()
    for system, variant in wanted:
        Target.objects.update_or_create(
            channel=channel,
            system=system,
            variant=variant,
            defaults={"attribute": entry.attribute},
        )
