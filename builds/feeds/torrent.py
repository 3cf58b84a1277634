"""Torrents (BEP 3) whose web seeds (BEP 19) are the downloads: no tracker, no peer is needed."""

from __future__ import annotations

from builds.feeds.sources import sources_of
from builds.models import Artifact, Pieces

MEDIA_TYPE = "application/x-bittorrent"
SUFFIX = ".torrent"
Value = int | str | bytes | list[str] | dict[str, "Value"]


def torrent(artifact: Artifact, pieces: Pieces, base: str) -> bytes:
    """The torrent of an artifact.

    Its infohash depends on name and bytes of the file alone, so that all portals and mirrors that
    hold the same file share one swarm.
    """
    release = artifact.release
    assert release.published_at is not None, "it may be read"
    info: dict[str, Value] = {
        "length": artifact.size,
        "name": artifact.name,
        "piece length": pieces.length,
        "pieces": bytes(pieces.sha1),
    }
    return bencoded(
        {
            "comment": f"{base}{release.get_absolute_url()}",
            "created by": "nixos-images-portal",
            "creation date": int(release.published_at.timestamp()),
            "info": info,
            "url-list": sources_of(artifact, base),
        }
    )


def bencoded(value: Value) -> bytes:
    """A value as BitTorrent writes it: keys sorted, so that there is one way only."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        return bencoded(value.encode())
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l%se" % b"".join(map(bencoded, value))
    ordered = sorted((key.encode(), each) for key, each in value.items())
    return b"d%se" % b"".join(bencoded(key) + bencoded(each) for key, each in ordered)
