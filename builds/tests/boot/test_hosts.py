"""Registered hosts: each boots what was set down for it, and nobody else gets anywhere."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from builds.boot.handover import handover
from builds.boot.options import BootOptions
from builds.choices import Standing, System
from builds.models import Actor, AuditEntry, Channel, Host, give_standing
from builds.tests.boot.examples import key
from builds.tests.boot.loader import Loader
from builds.tests.downloads.conftest import stored_release
from builds.tests.factories import UserFactory
from builds.tests.models.rows import NOW, channel
from builds.tests.web.reading import text_of

INITRD = "initrd-x86_64-linux"
LIST = "/admin/builds/host/"


@pytest.fixture
def demo(db: None) -> Channel:
    of = channel(is_default=True)
    stored_release(of, "1.0")
    return of


def host(of: Channel, **fields: object) -> Host:
    return Host.objects.create(**{"name": "rescue-7", "channel": of, **fields})


def path(of: Host, name: str = ".ipxe") -> str:
    assert of.token
    return f"/boot/host/{of.token}{name}"


def booted(client: Client, of: Host, missing: frozenset[str] = frozenset()) -> Loader:
    response = client.get(path(of))
    assert response.status_code == 200
    given = {"buildarch": "x86_64", "cmdline": "from=user"}
    return Loader(given, missing=missing).run(response.content.decode())


def test_host_boots_the_latest_with_its_own_options(client: Client, demo: Channel) -> None:
    stored_release(demo, "2.0")
    options = BootOptions.parse({"keys": key(), "hostname": "rescue-7", "params": "quiet"})
    machine = booted(client, host(demo, options=options.texts))
    [kernel] = machine.commands("kernel")
    assert kernel == [
        *("kernel", "/releases/download/demo/2.0/bzImage-x86_64-linux", "initrd=handover.cpio"),
        *(f"initrd={INITRD}", "console=ttyS0", "quiet", "from=user"),
    ]
    archive, image = machine.commands("initrd")
    assert client.get(archive[-1]).content == handover(options)
    assert image[-1] == f"/releases/download/demo/2.0/{INITRD}"
    assert machine.end == "boot"


def test_pinned_host_stays_and_says_when_its_version_is_gone(client: Client, demo: Channel) -> None:
    pinned = host(demo, version="1.0")
    stored_release(demo, "2.0")
    assert "/demo/1.0/" in booted(client, pinned).commands("kernel")[0][1]
    demo.releases.get(version="1.0").withdraw("eats disks", at=NOW)
    machine = booted(client, pinned)
    assert machine.end == "shell"
    assert "was withdrawn: eats disks" in " ".join(machine.shown)
    other = host(demo, name="other", system=System.AARCH64)
    machine = booted(client, other)
    assert machine.end == "shell"
    assert machine.commands("kernel") == []


def test_host_that_boots_once_leaves_to_the_next_device_from_then_on(
    client: Client, demo: Channel
) -> None:
    once = host(demo, boots_once=True)
    report = path(once, "/booting.txt")
    # Asking for the script, and a download that fails, are no boot.
    broken = booted(client, once, missing=frozenset({f"/releases/download/demo/1.0/{INITRD}"}))
    assert (broken.end, broken.commands("imgfetch")) == ("shell", [])
    machine = booted(client, once)
    assert machine.ran[-3:] == [
        ["imgfetch", "--name", "report", report],
        ["imgfree", "report"],
        ["boot"],
    ]
    assert client.head(report).status_code == 200
    assert booted(client, once).end == "boot"
    assert client.get(report).status_code == 200
    assert client.get(report).status_code == 410
    machine = booted(client, once)
    assert machine.end == "exit"
    assert "rescue-7 was booted on 20" in " ".join(machine.shown)
    once.refresh_from_db()
    once.arm()
    assert booted(client, once).end == "boot"


def test_machine_that_can_not_report_does_not_boot(client: Client, demo: Channel) -> None:
    once = host(demo, boots_once=True)
    machine = booted(client, once, missing=frozenset({path(once, "/booting.txt")}))
    assert machine.end == "shell"
    assert machine.commands("boot") == []


def test_host_says_when_and_from_where_it_was_asked_for(client: Client, demo: Channel) -> None:
    one = host(demo)
    client.head(path(one))
    assert Host.objects.get().seen_at is None
    client.get(path(one), REMOTE_ADDR="2001:db8::7")
    seen = Host.objects.get()
    assert seen.seen_address == "2001:db8::7"
    assert seen.seen_at is not None
    assert (timezone.now() - seen.seen_at).total_seconds() < 60


@pytest.mark.parametrize("name", [".ipxe", "/booting.txt"])
def test_unknown_and_revoked_tokens_are_a_plain_404(
    client: Client, demo: Channel, name: str
) -> None:
    one = host(demo)
    moved, removed = path(one, name), path(host(demo, name="other"), name)
    one.move()
    Host.objects.get(name="other").delete()
    assert client.get(path(one, name)).status_code == 200
    for gone in (moved, removed, f"/boot/host/{'x' * 32}{name}"):
        response = client.get(gone)
        assert response.status_code == 404
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert response.content == b"There is no such host.\n"


def test_answer_is_what_a_loader_can_read(client: Client, demo: Channel) -> None:
    response = client.get(path(host(demo)), headers={"accept-encoding": "gzip"})
    assert response["Content-Length"] == str(len(response.content))
    for header in ("Content-Encoding", "Set-Cookie", "Location", "Vary"):
        assert header not in response
    assert "://" not in response.content.decode()


def test_row_does_not_tell_the_token(demo: Channel, settings: LazySettings) -> None:
    one = host(demo)
    token = one.token
    assert token
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM builds_host")
        assert token not in repr(cursor.fetchall())
    settings.SECRET_KEY = "another key, of which nobody knew when the host was registered"
    assert Host.objects.get().token is None
    assert Host.objects.by_token(token) == one


def test_name_of_a_host_runs_nothing(client: Client, demo: Channel) -> None:
    for name in ("a\nreboot", "${x} || boot", "&& reboot #"):
        machine = booted(client, host(demo, name=name, system=System.AARCH64))
        assert machine.end == "shell"
        assert machine.commands("kernel", "boot", "reboot") == []


# Django's admin.


def person(standing: Standing) -> User:
    user: User = UserFactory(username=standing.value)
    give_standing(user, standing, by=Actor("test"), at=NOW)
    return User.objects.get(pk=user.pk)


def form(of: Channel, **fields: str) -> dict[str, object]:
    return {"name": "rack-1", "channel": of.pk, "system": "x86_64-linux", **fields}


def test_admin_registers_a_host_and_is_shown_its_address_again(
    client: Client, demo: Channel
) -> None:
    client.force_login(person(Standing.ADMIN))
    fields = form(demo, keys=key(), params="quiet", consoles="ttyS0,115200", version="1.0")
    assert client.post(f"{LIST}add/", fields).status_code == 302
    one = Host.objects.get()
    assert one.options == {"keys": key(), "params": "quiet", "consoles": "ttyS0,115200"}
    assert one.created_by is not None
    for _ in range(2):
        page = client.get(f"{LIST}{one.pk}/change/")
        assert f"chain --autofree http://testserver{path(one)}" in text_of(page)
        assert key() in page.content.decode()
    entry = AuditEntry.objects.newest_first()[0]
    assert (entry.act, entry.kind, entry.what) == ("add", "host", "rack-1")
    assert (entry.channel, entry.system) == ("demo", "x86_64-linux")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hostname": "a_b"}, "is no hostname"),
        ({"params": "x;y"}, "a parameter has letters"),
        ({"gateways": "192.0.2.1"}, "needs an address of IPv4"),
        ({"version": "9.9"}, "demo has no 9.9 for x86_64-linux"),
    ],
)
def test_admin_is_told_what_can_not_be_used(
    client: Client, demo: Channel, fields: dict[str, str], words: str
) -> None:
    client.force_login(person(Standing.ADMIN))
    response = client.post(f"{LIST}add/", form(demo, **fields))
    assert words in text_of(response)
    assert not Host.objects.exists()


def test_actions_let_boot_once_more_and_give_another_address(client: Client, demo: Channel) -> None:
    client.force_login(person(Standing.ADMIN))
    one = host(demo, boots_once=True)
    one.note_booting(at=NOW)
    token = one.token
    for action in ("boot_again", "move"):
        client.post(LIST, {"action": action, "_selected_action": [one.pk]})
    one.refresh_from_db()
    assert one.booted_at is None
    assert one.token != token
    reasons = [entry.reason for entry in AuditEntry.objects.newest_first()[:2]]
    assert reasons == ["Gave it another address.", "Lets it boot once more."]


@pytest.mark.parametrize("standing", [Standing.VIEWER, Standing.OPERATOR])
def test_others_see_hosts_but_no_address(client: Client, demo: Channel, standing: Standing) -> None:
    one = host(demo)
    client.force_login(person(standing))
    page = client.get(f"{LIST}{one.pk}/change/")
    assert page.status_code == 200
    assert "rescue-7" in text_of(page)
    assert one.token
    assert one.token not in page.content.decode()
    assert client.post(f"{LIST}add/", form(demo)).status_code == 403
    client.post(LIST, {"action": "move", "_selected_action": [one.pk]})
    assert Host.objects.get().token == one.token


def test_list_shows_when_each_was_seen(client: Client, demo: Channel) -> None:
    one = host(demo, boots_once=True)
    one.note_seen("192.0.2.7", at=NOW)
    one.note_booting(at=NOW)
    client.force_login(person(Standing.ADMIN))
    said = text_of(client.get(LIST))
    assert "from 192.0.2.7" in said
    assert "yes, and did" in said
