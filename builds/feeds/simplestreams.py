"""Simplestreams, below /streams/v1/: an index, and for each channel a list of its releases."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from builds.choices import Role, System
from builds.feeds import openpgp
from builds.feeds.answers import JSON, TEXT, answer, as_json, for_programs, missing, no_channel
from builds.models import Artifact, Channel, Head, Release

INDEX, PRODUCTS = "index:1.0", "products:1.0"
DATA_TYPE = "image-downloads"
MOST = 50  # versions of a product
PLAIN, SIGNED = "json", "sjson"

# As Debian names them, which is what readers of simplestreams ask for.
_ARCHITECTURES = {System.X86_64: "amd64", System.AARCH64: "arm64"}
_FILE_TYPES = {Role.KERNEL: "boot-kernel", Role.INITRD: "boot-initrd"}


@for_programs
def index(request: HttpRequest, form: str) -> HttpResponseBase:
    """Which lists there are, and the products in each."""
    heads = list(Head.objects.to_offer())
    names = dict.fromkeys(head.channel.name for head in heads)
    lists = {name: [head for head in heads if head.channel.name == name] for name in names}
    entries = {_content_id(name): _entry(name, of, form) for name, of in lists.items()}
    record: dict[str, Any] = {"format": INDEX, "index": entries}
    if heads:
        record["updated"] = _mail_time(max(head.moved_at for head in heads))
    return _told(request, record, form)


@for_programs
def products(request: HttpRequest, channel: str, form: str) -> HttpResponseBase:
    """The last releases of a channel, up to the one that is the latest now."""
    heads = list(Head.objects.to_offer().filter(channel__name=channel))
    if not heads and not Channel.objects.filter(name=channel).exists():
        return no_channel(channel)
    record: dict[str, Any] = {
        "format": PRODUCTS,
        "content_id": _content_id(channel),
        "datatype": DATA_TYPE,
        "products": _products(channel, heads),
    }
    if heads:
        record["updated"] = _mail_time(max(head.moved_at for head in heads))
    return _told(request, record, form)


@for_programs
def key(request: HttpRequest) -> HttpResponseBase:
    """The public key of the signed form."""
    return answer(request, openpgp.public_key(), TEXT) if openpgp.can_sign() else _unsigned()


def _told(request: HttpRequest, record: dict[str, Any], form: str) -> HttpResponseBase:
    data = as_json(record)
    if form == PLAIN:
        return answer(request, data, JSON)
    if not openpgp.can_sign():
        return _unsigned()
    # Each web process signs for itself, at another time: the same text in other bytes.
    etag = f'W/"{sha256(data).hexdigest()[:32]}"'
    return answer(request, openpgp.clear_signed(data), TEXT, etag=etag)


def _unsigned() -> HttpResponseBase:
    return missing("This portal has no OpenPGP key. Unsigned: /streams/v1/index.json.")


def _entry(channel: str, heads: Iterable[Head], form: str) -> dict[str, Any]:
    return {
        "datatype": DATA_TYPE,
        "format": PRODUCTS,
        "path": f"streams/v1/{_content_id(channel)}.{form}",
        "products": [_product_name(head) for head in heads],
        "updated": _mail_time(max(head.moved_at for head in heads)),
    }


def _products(channel: str, heads: Collection[Head]) -> dict[str, Any]:
    """By name; without what came after a head that was rolled back, as readers take the last."""
    present = [head.release for head in heads]
    offered = Release.objects.up_to(present).newest_of_each_system(MOST)
    versions: dict[str, dict[str, Any]] = {release.system: {} for release in present}
    for release in offered.select_related("channel").prefetch_related("artifacts"):
        versions[release.system][_serial(release)] = _version(release)
    return {
        _product_name(head): {
            "os": "nixos",
            "release": channel,
            "release_title": head.channel.title,
            "arch": _ARCHITECTURES[System(head.system)],
            "versions": versions[head.system],
        }
        for head in heads
    }


def _version(release: Release) -> dict[str, Any]:
    return {
        "label": "release",
        "pubname": f"{release.channel.name}-{release.version}-{release.system}",
        "version": release.version,
        "items": {artifact.name: _item(artifact, release) for artifact in release.artifacts.all()},
    }


def _item(artifact: Artifact, release: Release) -> dict[str, Any]:
    return {
        "ftype": _FILE_TYPES.get(Role(artifact.role), artifact.role),
        "variant": artifact.variant,
        "path": release.key(artifact.name),
        "size": artifact.size,
        "sha256": artifact.sha256,
    }


def _content_id(channel: str) -> str:
    return f"org.nixos.images:{channel}:download"


def _product_name(head: Head) -> str:
    return f"org.nixos.images:{head.channel.name}:{_ARCHITECTURES[System(head.system)]}"


def _serial(release: Release) -> str:
    """A name that sorts as the releases followed on each other."""
    assert release.published_at is not None, "it may be read"
    return f"{release.published_at:%Y%m%d}.{release.sequence:06}"


def _mail_time(at: datetime) -> str:
    return format_datetime(at)
