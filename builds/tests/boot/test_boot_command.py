"""`manage.py boot` ends with one line that says what is wrong and what to do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.live_server_helper import LiveServer

from builds.boot.remote import Portal, PortalError
from builds.choices import Role, System, Variant
from builds.storage import artifacts
from builds.tests.downloads.conftest import Weeks
from builds.tests.models.rows import NOW
from builds.tests.ports import free_port


def refusal(server: LiveServer | None, *arguments: str) -> str:
    portal = ["--portal", server.url] if server else []
    with pytest.raises(CommandError) as refused:
        call_command("boot", *arguments, *portal)
    return str(refused.value)


def test_portal_that_is_not_there_is_named_with_the_way_out() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError) as refused:
        call_command("boot", "demo", "--portal", url)
    assert f"Nothing answers at {url}" in str(refused.value)
    assert "make run" in str(refused.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://example.org", "http://", "file:///etc"])
def test_portal_that_is_no_url_is_named(url: str) -> None:
    with pytest.raises(CommandError, match="is no URL such as"):
        call_command("boot", "demo", "--portal", url)


def test_release_that_is_not_there_is_told_in_the_portals_words(
    live_server: LiveServer, weeks: Weeks
) -> None:
    assert "answers 404: There is no latest-x86_64-linux.json in absent." in refusal(
        live_server, "absent"
    )
    assert "There is no release-x86_64-linux.json in demo 9.9." in refusal(
        live_server, "demo", "--version", "9.9"
    )
    assert "answers 404" in refusal(live_server, "demo", "--system", "aarch64-linux")


def test_withdrawn_release_is_told_with_its_reason(live_server: LiveServer, weeks: Weeks) -> None:
    weeks.first.withdraw("it eats disks", at=NOW)
    assert "it eats disks" in refusal(live_server, "demo", "--version", "1.0")


def test_variant_that_the_release_lacks_is_named(live_server: LiveServer, weeks: Weeks) -> None:
    said = refusal(live_server, "demo", "--variant", "iso")
    assert "demo 2.0 x86_64-linux has no iso (iso); it has kexec-installer, netboot." in said


def test_parameter_that_cannot_be_passed_on_is_named(live_server: LiveServer, weeks: Weeks) -> None:
    assert refusal(live_server, "demo", "--append", "a;b").startswith("--append: 'a;b'")


def test_missing_qemu_is_named_with_its_package(
    live_server: LiveServer, weeks: Weeks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install the package qemu-system" in refusal(live_server, "demo")


def test_port_that_is_taken_is_told_in_qemus_words(live_server: LiveServer, weeks: Weeks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(live_server, "demo", "--ssh", str(port))
    assert "Could not set up host forwarding rule" in said
    assert str(port) in said


def test_files_are_verified_and_kept(live_server: LiveServer, weeks: Weeks, tmp_path: Path) -> None:
    portal = Portal(live_server.url)
    kernel = portal.release("demo", System.X86_64, "1.0").file(Role.KERNEL, Variant.NETBOOT)
    progress: list[int] = []
    first = portal.fetch(kernel, tmp_path, lambda _name, received, _size: progress.append(received))
    assert first.read_bytes().startswith(b"bzImage-x86_64-linux of 1.0")
    assert progress == [kernel.size]
    again = portal.fetch(kernel, tmp_path, lambda *_: pytest.fail("it was loaded again"))
    assert again == first
    first.write_bytes(b"damaged since")
    assert portal.fetch(kernel, tmp_path, lambda *_: None).stat().st_size == kernel.size


def test_damaged_download_is_refused_and_not_kept(
    live_server: LiveServer, weeks: Weeks, tmp_path: Path
) -> None:
    portal = Portal(live_server.url)
    kernel = portal.release("demo", System.X86_64, "1.0").file(Role.KERNEL, Variant.NETBOOT)
    stored = artifacts().local_path(kernel.path)
    assert stored is not None
    stored.chmod(0o644)
    stored.write_bytes(os.urandom(kernel.size))
    with pytest.raises(PortalError, match="came damaged"):
        portal.fetch(kernel, tmp_path / "cache", lambda *_: None)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("url", "for_guests"),
    [
        ("http://127.0.0.1:8000", "http://10.0.2.2:8000"),
        ("http://localhost", "http://10.0.2.2"),
        ("http://[::1]:81", "http://10.0.2.2:81"),
        ("https://images.example.org", "https://images.example.org"),
    ],
)
def test_guest_finds_this_machines_loopback_elsewhere(url: str, for_guests: str) -> None:
    assert Portal(url).url_for_guests == for_guests
