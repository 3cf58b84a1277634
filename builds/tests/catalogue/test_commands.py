"""The commands that fill an empty database and start a release by hand."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command

from builds.choices import System, Trigger
from builds.models import Channel, Release
from builds.tests.catalogue.test_catalogue import ONE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.fixture(autouse=True)
def static_root(settings: LazySettings, tmp_path: Path) -> Path:
    """Static files are collected into a folder of this test's own."""
    settings.STATIC_ROOT = tmp_path / "static"
    return tmp_path / "static"


def manage(*words: object) -> str:
    """What a command prints."""
    output = io.StringIO()
    call_command(*map(str, words), stdout=output)
    return output.getvalue()


def test_empty_database_gets_catalogue_admin_and_first_drafts(static_root: Path) -> None:
    said = manage("prepare")

    assert Channel.objects.filter(name="demo").exists()
    drafts = Release.objects.values_list("channel__name", "system", "trigger", "status")
    assert set(drafts) == {
        ("demo", "x86_64-linux", Trigger.FIRST_START, "draft"),
        ("demo", "aarch64-linux", Trigger.FIRST_START, "draft"),
    }
    assert (static_root / "admin").is_dir()
    found = re.search(r"portal: sign in at /admin/ as admin with the password (\S+)\n", said)
    assert found is not None
    admin = authenticate(username="admin", password=found[1])
    assert admin is not None
    assert admin.is_superuser


def test_prepared_database_is_left_as_it_is() -> None:
    manage("prepare")
    Channel.objects.exclude(name="demo").delete()
    Channel.objects.update(title="The admin's")

    said = manage("prepare")

    assert "password" not in said
    assert list(Channel.objects.values_list("name", "title")) == [("demo", "The admin's")]
    assert Release.objects.count() == 2
    assert get_user_model().objects.count() == 1


def test_superuser_of_another_name_needs_no_admin() -> None:
    get_user_model().objects.create_superuser("root", password="a-long-enough-one")

    assert "password" not in manage("prepare")
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["root"]


def test_static_files_are_collected_again_only_when_they_change(static_root: Path) -> None:
    manage("prepare")
    some = static_root / "admin" / "css" / "base.css"
    some.unlink()

    manage("prepare")
    assert not some.exists()

    (static_root / "collected.sha256").write_text("of an older release")
    manage("prepare")
    assert some.exists()


def test_loadcatalog_says_what_it_added_kept_and_updated(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(ONE)
    completed = (
        "checked too, because nothing is published unbooted: "
        "one gets boot-netboot-direct, boot-kexec-installer\n"
    )

    assert manage("loadcatalog", file) == f"added: one\n{completed}"
    assert manage("loadcatalog", file) == "kept: one\n"
    assert manage("loadcatalog", file, "--update") == f"updated: one\n{completed}"


def test_loadcatalog_refuses_a_wrong_file_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(ONE + "slto = 1\n")

    with pytest.raises(CommandError) as caught:
        manage("loadcatalog", file)

    assert str(caught.value).startswith(f"{file}, line 8: channel one, slto: is unknown; ")


@pytest.fixture
def one(tmp_path: Path) -> Channel:
    """A channel for both systems."""
    file = tmp_path / "catalogue.toml"
    file.write_text(ONE)
    manage("loadcatalog", file)
    return Channel.objects.get()


def test_trigger_makes_a_draft_for_each_system_and_prints_its_page(
    one: Channel, settings: LazySettings
) -> None:
    settings.PORTAL_URL = "https://images.example"

    said = manage("trigger", "one")

    drafts = {release.system: release for release in Release.objects.all()}
    assert said.splitlines() == [
        f"one {system}: https://images.example{drafts[system].get_absolute_url()}"
        for system in System
    ]
    assert {release.trigger for release in drafts.values()} == {Trigger.ADMIN}
    assert not any(release.forced for release in drafts.values())


def test_trigger_for_one_system_by_force(one: Channel) -> None:
    manage("trigger", "one", "--system", "aarch64-linux", "--force")

    release = Release.objects.get()
    assert (release.system, release.forced) == (System.AARCH64, True)


def test_trigger_twice_finds_the_draft_in_the_making(one: Channel) -> None:
    assert manage("trigger", "one") == manage("trigger", "one")
    assert Release.objects.count() == 2


def test_trigger_of_an_unknown_channel_names_the_known_ones(one: Channel) -> None:
    with pytest.raises(CommandError) as caught:
        manage("trigger", "two")
    assert str(caught.value) == "there is no channel 'two'; known are: one"


def test_trigger_for_an_unknown_system_names_the_known_ones(one: Channel) -> None:
    with pytest.raises(CommandError) as caught:
        manage("trigger", "one", "--system", "riscv64-linux")
    known = "x86_64-linux, aarch64-linux"
    assert str(caught.value) == f"one is not built for 'riscv64-linux'; known are: {known}"


def test_reconcile_says_how_much_is_in_the_making(one: Channel) -> None:
    manage("trigger", "one")
    assert manage("reconcile") == "2 releases are in the making\n"
