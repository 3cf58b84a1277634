"""Metalinks (RFC 5854): one file's size, digests and sources, for aria2 and its like."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET  # only written here  # nosec B405

from django.conf import settings

from builds.feeds.sources import sources_of
from builds.models import Artifact, Pieces

MEDIA_TYPE = "application/metalink4+xml"
SUFFIX = ".meta4"
NAMESPACE = "urn:ietf:params:xml:ns:metalink"
# RFC 5854 has nothing for it, and lets elements of other namespaces stand anywhere in a file.
PREVIOUS = "urn:nixos-images-portal:metalink:previous"


def metalink(
    artifact: Artifact,
    pieces: Pieces | None,
    base: str,
    *,
    origin: str,
    previous: Iterable[Artifact] = (),
) -> bytes:
    """The metalink of an artifact; with its pieces where they have been hashed.

    `previous` are what else had this name before, so that a copy of one is known for what it is.

    `origin` is where a newer metalink of the same name will be. It names no torrent: aria2 would
    join it, and after the download seed until somebody has taken the whole file from it.
    """
    release = artifact.release
    assert release.published_at is not None, "it may be read"
    root = ET.Element("metalink", xmlns=NAMESPACE)
    _add(root, "generator", f"nixos-images-portal/{settings.VERSION}")
    _add(root, "origin", origin, dynamic="true")
    _add(root, "published", _instant(release.published_at))
    file = ET.SubElement(root, "file", name=artifact.name)
    _add(file, "identity", f"NixOS images {release.channel.name}")
    _add(file, "version", release.version or "")
    _add(file, "size", str(artifact.size))
    _add(file, "hash", artifact.sha256, type="sha-256")
    if pieces is not None:
        _add_pieces(file, pieces)
    for priority, url in enumerate(sources_of(artifact, base), start=1):
        _add(file, "url", url, priority=str(priority))
    for each in previous:
        _add_previous(file, each)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_pieces(file: ET.Element, pieces: Pieces) -> None:
    parts = ET.SubElement(file, "pieces", length=str(pieces.length), type="sha-1")
    for digest in pieces.digests():
        _add(parts, "hash", digest)


def _add_previous(file: ET.Element, artifact: Artifact) -> None:
    release = artifact.release
    assert release.published_at is not None, "it was published once"
    told = {
        "version": release.version or "",
        "published": _instant(release.published_at),
        "status": release.status,
        "size": str(artifact.size),
    }
    before = ET.SubElement(file, "previous", told, xmlns=PREVIOUS)
    _add(before, "hash", artifact.sha256, type="sha-256")


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = text


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
