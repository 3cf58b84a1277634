"""The script of one registered host."""

from __future__ import annotations

from django.template.loader import render_to_string
from django.urls import reverse

from builds.boot.options import BootOptions
from builds.boot.picked import picked
from builds.boot.screen import screen
from builds.boot.standing import Standing, standings
from builds.models import Head, Host, Release


def host_script(host: Host, token: str) -> bytes:
    """What the host boots; why it can't, on its screen; or where it has booted once, a way out."""
    if host.is_done:
        assert host.booted_at is not None, "what is done was booted"
        context = {"name": screen(host), "at": host.booted_at.strftime("%Y-%m-%d at %H:%M UTC")}
        return render_to_string("boot/done.ipxe", context).encode()
    title = f"{host}: {host.channel} {host.version or 'latest'}"
    report = reverse("host-booting", args=[token]) if host.boots_once else ""
    return picked(title, _standings(host), report=report)


def _standings(host: Host) -> list[Standing]:
    release = _release(host)
    options = BootOptions.parse(host.options)
    return standings([release] if release else [], options)


def _release(host: Host) -> Release | None:
    if not host.version:
        heads = Head.objects.with_files().filter(channel=host.channel, system=host.system)
        head = heads.first()
        return head.release if head else None
    found = Release.objects.named(host.channel.name, host.version).known_to_outside()
    return found.filter(system=host.system).with_files().first()
