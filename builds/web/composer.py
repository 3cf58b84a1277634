"""The composer: a form whose address is the result's own link, and every way to boot from it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from builds.boot.addresses import base_url
from builds.boot.options import BadOptions, BootOptions
from builds.boot.ways import Way, titles, ways
from builds.choices import Console, System
from builds.models import Channel, Head

# Label, hint, example; the names are those of BootOptions' fields.
TEXTS = {
    "keys": (_("ssh public keys"), _("One a line. They let root in."), "ssh-ed25519 AAAA… me"),
    "hostname": (_("Hostname"), _("Letters, digits, hyphens and dots."), "rescue-7"),
    "addresses": (
        _("Addresses"),
        _("With the network's length; left out: by DHCP."),
        "192.0.2.5/24 2001:db8::5/64",
    ),
    "gateways": (_("Gateways"), _("One for each family."), "192.0.2.1"),
    "nameservers": (_("Name servers"), _("Three at most."), "192.0.2.53"),
    "card": (
        _("Network card"),
        _("Its address, where it is not the one that boots."),
        "52:54:00:12:34:56",
    ),
    "params": (
        _("Kernel parameters"),
        _("Words that are added to the kernel's line."),
        "quiet systemd.log_level=debug",
    ),
}
FIELDS = (*TEXTS, "consoles")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form, as it was filled in; `error` is "" where it can be used."""

    name: str
    label: str
    hint: str
    example: str
    value: str
    error: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed set."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A way with the labels of what was asked for and it can't hand over, and its own link."""

    way: Way
    left_out: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for, checked: `options` is None where `errors` names a field."""

    channel: str
    system: str
    method: str
    texts: dict[str, str]
    options: BootOptions | None
    errors: dict[str, str]


@require_safe
def compose(request: HttpRequest) -> HttpResponse:
    """The form and what comes out of it."""
    channels = [channel.name for channel in Channel.objects.all()]
    asked = _read(request.GET, channels)
    heads = Head.objects.with_files().filter(channel__name=asked.channel)
    releases = {head.release.system: head.release for head in heads}
    release = releases.get(asked.system)
    shown: list[Shown] = []
    if release is not None and asked.options is not None and not asked.errors:
        found = ways(release, asked.options, base_url(request), list(releases.values()))
        shown = [_shown(way, asked) for way in found]
    context = {
        **_form(asked, channels),
        "asked": asked,
        "release": release,
        "main": next((one for one in shown if one.way.command.method == asked.method), None),
        "rest": [one for one in shown if one.way.command.method != asked.method],
        "wrong": len(asked.errors),
    }
    return render(request, "web/composer.html", context)


def _form(asked: Asked, channels: list[str]) -> dict[str, object]:
    consoles = asked.texts["consoles"].split()
    return {
        "channels": [Choice(name, name, name == asked.channel) for name in channels],
        "systems": [Choice(each.value, each.architecture, each == asked.system) for each in System],
        "methods": [Choice(name, title, name == asked.method) for name, title in titles().items()],
        "consoles": [Choice(each.value, str(each.label), each in consoles) for each in Console],
        "fields": {name: _field(name, asked) for name in TEXTS},
    }


def _read(query: QueryDict, channels: list[str]) -> Asked:
    """Nothing that is not in a closed set is used; it is named beside its field."""
    texts = {name: query.get(name, "") for name in TEXTS}
    texts["consoles"] = " ".join(query.getlist("consoles"))
    options, errors = None, dict[str, str]()
    try:
        options = BootOptions.parse(texts)
    except BadOptions as wrong:
        errors |= wrong.errors
    usual_channel, usual_system = _usual(channels)
    known = {
        "channel": (channels, usual_channel, gettext("There is no such channel here.")),
        "system": (System.values, usual_system, gettext("There is no such architecture here.")),
        "method": (titles(), "kexec", gettext("There is no such way to boot here.")),
    }
    chosen = {}
    for name, (values, usual, error) in known.items():
        value = query.get(name, "")
        chosen[name] = value if value in values else usual
        if value and value not in values:
            errors[name] = error
    return Asked(texts=texts, options=options, errors=errors, **chosen)


def _usual(channels: list[str]) -> tuple[str, str]:
    """The default channel where it has a release, else one that has; a PC where that has one."""
    heads = Head.objects.select_related("channel").all()
    usual = min(
        heads,
        key=lambda head: (
            not head.channel.is_default,
            channels.index(head.channel.name),
            head.system != System.X86_64,
        ),
        default=None,
    )
    if usual is None:
        return (channels[0] if channels else "", System.X86_64)
    return usual.channel.name, usual.system


def _field(name: str, asked: Asked) -> Field:
    label, hint, example = TEXTS[name]
    value, error = asked.texts[name], asked.errors.get(name, "")
    return Field(name, str(label), str(hint), example, value, error)


def _shown(way: Way, asked: Asked) -> Shown:
    left_out = [name for name in FIELDS if name in way.without and asked.texts[name].strip()]
    labels = {name: str(label) for name, (label, _hint, _example) in TEXTS.items()}
    labels["consoles"] = gettext("Console")
    query = {"channel": asked.channel, "system": asked.system, "method": way.command.method}
    query |= {name: text for name, text in asked.texts.items() if text.strip()}
    return Shown(way, tuple(labels[name] for name in left_out), f"?{urlencode(query)}")
