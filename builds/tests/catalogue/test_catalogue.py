"""The catalogue: what it makes, that admins' changes survive it, and how it says what is wrong."""

from __future__ import annotations

import json
import re
from datetime import date, time
from pathlib import Path

import pytest
from django.conf import settings

from builds import catalogue
from builds.catalogue import CatalogueError
from builds.choices import System
from builds.models import Channel, Target

pytestmark = pytest.mark.django_db

ONE = """\
[channels.one]
title = "The first"
flake = "path:images/mini"
attribute = "packages.{system}.{variant}"
systems = ["x86_64-linux", "aarch64-linux"]
variants = ["netboot", "kexec-installer"]
slot = "Sunday 03:00"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A catalogue of one channel."""
    path = tmp_path / "catalogue.toml"
    path.write_text(ONE)
    return path


def refusal(path: Path) -> str:
    """The line that a catalogue is refused with, without its path; no row is made."""
    with pytest.raises(CatalogueError) as caught:
        catalogue.load(path)
    assert not Channel.objects.exists()
    line = str(caught.value)
    assert "\n" not in line
    return line.removeprefix(f"{path}, ")


def rows() -> list[tuple[object, ...]]:
    """Everything that a catalogue can set, by channel and target."""
    return [
        *Channel.objects.order_by("name").values_list(),
        *Target.objects.order_by("pk").values_list(),
    ]


def test_catalogue_says_how_long_releases_are_kept(file: Path) -> None:
    catalogue.load(file)
    assert Channel.objects.values_list("keep_last", "keep_days").get() == (12, 90)
    file.write_text(f"{ONE}keep_last = 3\nkeep_days = 30\n")
    catalogue.load(file, update=True)
    assert Channel.objects.values_list("keep_last", "keep_days").get() == (3, 30)
    Channel.objects.all().delete()
    file.write_text(f"{ONE}keep_last = 0\n")
    assert "line 8: channel one, keep_last" in refusal(file)
    file.write_text(f"{ONE}keep_days = true\n")
    assert "wants a whole number, not True" in refusal(file)


def test_own_catalogue_loads_every_channel() -> None:
    loaded = catalogue.load(settings.BASE_DIR / "images" / "catalogue.toml")

    assert set(loaded.added) >= {"nixos-unstable", "nixos-26.05", "nixos-25.11", "demo"}
    assert [channel.name for channel in Channel.objects.for_first_start()] == ["demo"]
    default = Channel.objects.default()
    assert default is not None
    assert default.name == "nixos-26.05"
    for channel in Channel.objects.all():
        assert channel.systems() == list(System)


def test_entry_becomes_a_channel_with_a_target_for_each_system_and_variant(file: Path) -> None:
    file.write_text(
        ONE
        + 'checks = ["boot-netboot-direct", "boot-kexec-installer"]\n'
        + 'checks_told = ["reproduced"]\n'
        + 'checks_after = ["boot-netboot-bios", "least-ram-netboot"]\n'
        + "ssh = true\n"
        + 'overrides = { nixpkgs = "github:NixOS/nixpkgs/nixos-unstable" }\n'
        + 'revision_input = "nixpkgs"\n'
        + 'marker = "up: {version}"\n'
        + "end_of_life = 2026-12-31\n"
        + "first_start = true\n"
        + "default = true\n"
    )

    catalogue.load(file)

    channel = Channel.objects.get()
    assert (channel.name, channel.title) == ("one", "The first")
    assert (channel.slot_weekday, channel.slot_time) == (Channel.Weekday.SUNDAY, time(3, 0))
    assert channel.overrides == {"nixpkgs": "github:NixOS/nixpkgs/nixos-unstable"}
    assert channel.revision_input == "nixpkgs"
    assert channel.checks == ["boot-netboot-direct", "boot-kexec-installer"]
    assert channel.checks_told == ["reproduced"]
    assert channel.checks_after == ["boot-netboot-bios", "least-ram-netboot"]
    assert channel.ssh
    assert channel.marker == "up: {version}"
    assert channel.end_of_life == date(2026, 12, 31)
    assert channel.builds_at_first_start
    assert channel.is_default
    assert set(channel.targets.values_list("system", "variant")) == {
        ("x86_64-linux", "netboot"),
        ("x86_64-linux", "kexec-installer"),
        ("aarch64-linux", "netboot"),
        ("aarch64-linux", "kexec-installer"),
    }


def test_defaults_hold_for_every_channel_that_says_nothing_else(file: Path) -> None:
    two = ONE.replace("channels.one", "channels.two").replace("Sunday 03:00", "Monday 04:30")
    without_slot = ONE.replace('slot = "Sunday 03:00"\n', "")
    file.write_text(f'[defaults]\nslot = "Friday 23:59"\n{without_slot}{two}')

    catalogue.load(file)

    slots = dict(Channel.objects.values_list("name", "slot_weekday"))
    assert slots == {"one": Channel.Weekday.FRIDAY, "two": Channel.Weekday.MONDAY}


def test_loading_again_changes_nothing(file: Path) -> None:
    catalogue.load(file)
    before = rows()

    again = catalogue.load(file)

    assert rows() == before
    assert (again.added, again.updated, again.kept) == ((), (), ("one",))


def test_updating_with_the_same_file_changes_nothing(file: Path) -> None:
    catalogue.load(file)
    before = rows()

    again = catalogue.load(file, update=True)

    assert rows() == before
    assert again.updated == ("one",)


def test_what_an_admin_changed_survives_and_update_takes_the_file_again(file: Path) -> None:
    catalogue.load(file)
    Channel.objects.update(title="The admin's")
    Target.objects.filter(variant="kexec-installer").delete()

    catalogue.load(file)
    assert Channel.objects.get().title == "The admin's"
    assert Target.objects.count() == 2

    catalogue.load(file, update=True)
    assert Channel.objects.get().title == "The first"
    assert Target.objects.count() == 4


def test_new_channel_is_added_beside_those_that_are_kept(file: Path) -> None:
    catalogue.load(file)
    file.write_text(ONE + ONE.replace("channels.one", "channels.two"))

    loaded = catalogue.load(file)

    assert (loaded.added, loaded.kept) == (("two",), ("one",))


def test_target_that_the_file_drops_goes_with_update(file: Path) -> None:
    catalogue.load(file)
    file.write_text(ONE.replace(', "aarch64-linux"', ""))

    catalogue.load(file, update=True)

    assert Channel.objects.get().systems() == [System.X86_64]


@pytest.mark.parametrize(
    ("checks", "completed"),
    [
        ("[]", ["boot-netboot-direct", "boot-kexec-installer"]),
        ('["boot-netboot-direct"]', ["boot-kexec-installer"]),
        # That one is for x86_64 only: nothing would boot the netboot of aarch64.
        (
            '["boot-netboot-bios", "boot-kexec-installer"]',
            ["boot-netboot-direct"],
        ),
        ('["boot-netboot-uefi", "boot-kexec-installer"]', []),
    ],
)
def test_catalogue_is_completed_so_that_no_variant_is_published_unbooted(
    file: Path, checks: str, completed: list[str]
) -> None:
    file.write_text(f"{ONE}checks = {checks}\n")

    loaded = catalogue.load(file)

    assert Channel.objects.get().checks == [*json.loads(checks), *completed]
    sentences = (f"one gets {', '.join(completed)}",) if completed else ()
    assert loaded.completed == sentences


WRONG = {
    "measurement that gates": (
        'checks = ["least-ram-iso"]',
        8,
        "channel one, checks: least-ram-iso measures and holds nothing back; put it in",
    ),
    "boot that is only told": (
        'checks_told = ["boot-iso-cd-uefi"]',
        8,
        "channel one, checks_told: boot-iso-cd-uefi boots, and what does not boot is held back",
    ),
    "unknown later check": (
        'checks_after = ["boot-by-hand"]',
        8,
        "channel one, checks_after: 'boot-by-hand' is no check; known are boot-netboot-direct, ",
    ),
    "unknown key": ("slto = 1", 8, "channel one, slto: is unknown; known are title, flake,"),
    "unknown check": (
        'checks = ["boot-by-hand"]',
        8,
        "channel one, checks: 'boot-by-hand' is no check; known are ",
    ),
    "flag that is none": ('default = "yes"', 8, "channel one, default: wants true or false"),
    "date that is none": ('end_of_life = "soon"', 8, "channel one, end_of_life: wants a date"),
    "overrides that are no table": ("overrides = 1", 8, "channel one, overrides: wants a table"),
}


@pytest.mark.parametrize(("added", "line", "reason"), WRONG.values(), ids=WRONG.keys())
def test_wrong_addition_is_refused_with_line_and_reason(
    file: Path, added: str, line: int, reason: str
) -> None:
    file.write_text(f"{ONE}{added}\n")
    assert refusal(file).startswith(f"line {line}: {reason}")


@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        ('"The first"', '""', "line 2: channel one, title: wants text, not ''"),
        ('"The first"', "5", "line 2: channel one, title: wants text, not 5"),
        ("{variant}", "{kind}", "line 4: channel one, attribute: {kind} can't be filled in; "),
        ("aarch64-linux", "riscv64-linux", "line 5: channel one, systems: 'riscv64-linux' is no"),
        ('["netboot", "kexec-installer"]', "[]", "line 6: channel one, variants: wants a list of"),
        ("kexec-installer", "floppy", "line 6: channel one, variants: 'floppy' is no variant; "),
        ("Sunday 03:00", "Sunday", "line 7: channel one, slot: wants a day and a time in UTC"),
        ("Sunday 03:00", "Someday 03:00", "line 7: channel one, slot: wants a day and a time"),
        ("Sunday 03:00", "Sunday 24:00", "line 7: channel one, slot: wants a day and a time"),
        ("channels.one", "channels.latest", "line 1: channel latest, name: “latest” has a meaning"),
        ("channels.one", 'channels."../up"', "line 1: channel ../up, name: A channel's name is"),
        ("channels.one", "canals.one", "line 1: catalogue, canals: is neither [defaults] nor"),
        ("packages.{system}", "a b.{system}", "line 4: channel one, attribute: wants an attribute"),
        ('slot = "Sunday 03:00"\n', "", "line 1: channel one: lacks “slot”"),
    ],
)
def test_wrong_value_is_refused_with_line_and_reason(
    file: Path, was: str, becomes: str, reason: str
) -> None:
    assert was in ONE
    file.write_text(ONE.replace(was, becomes))
    assert refusal(file).startswith(reason)


def test_unknown_table_is_refused_where_it_stands(file: Path) -> None:
    file.write_text(f"{ONE}\n[canals.two]\ntitle = 'x'\n")
    assert refusal(file).startswith("line 9: catalogue, canals: is neither")


def test_second_default_is_refused_and_names_the_first(file: Path) -> None:
    one = f"{ONE}default = true\n"
    file.write_text(one + one.replace("channels.one", "channels.two"))
    assert refusal(file) == "line 16: channel two, default: one is the default already"


def test_file_that_is_no_toml_is_refused_with_its_line(file: Path) -> None:
    file.write_text("[channels.one\n")
    with pytest.raises(CatalogueError, match=r"catalogue\.toml: .*line 1"):
        catalogue.load(file)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "absent.toml"
    with pytest.raises(CatalogueError, match=re.escape(f"{path}: No such file or directory")):
        catalogue.load(path)


def test_one_wrong_channel_keeps_all_others_out(file: Path) -> None:
    file.write_text(ONE + ONE.replace("channels.one", "channels.two").replace("Sunday", "Someday"))
    assert refusal(file).startswith("line 14: channel two, slot: ")
