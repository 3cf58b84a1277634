"""Names in the storage: the paths of the download URLs, so that it is a mirror as it is."""

from __future__ import annotations

import re

ROOT = "releases/download"
KEYS = "keys"
# Beside the releases: what is written here is seen by nobody until it is settled.
INCOMING = ".incoming"
ARRIVAL = "arrival-"
# Links to what a front server may hand out by itself; see builds.storage.front.
PUBLIC = ".public"
_STAGED = re.compile(rf"{re.escape(INCOMING)}/\d+-")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")

# What browsers and S3 are told. Never an encoding: a client that unpacks a .tar.gz on the way
# finds another digest than the one that it was given.
_CONTENT_TYPES = {
    ".intoto.jsonl": "application/vnd.in-toto.provenance+dsse",
    ".cdx.json": "application/vnd.cyclonedx+json; version=1.6",
    ".pem": "application/x-pem-file",
    ".json": "application/json",
    ".ipxe": "text/plain; charset=utf-8",
    ".sig": "text/plain; charset=utf-8",
    ".minisig": "text/plain; charset=utf-8",
    ".pub": "text/plain; charset=utf-8",
    ".sha256": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".png": "image/png",
}


def is_file_name(name: str) -> bool:
    """Whether a name can be a file's: no slash, nothing hidden, nothing that a shell expands."""
    return _FILE_NAME.fullmatch(name) is not None


def channel_key(channel: str, name: str) -> str:
    """The key of a file that moves with each publish."""
    return f"{ROOT}/{channel}/{_checked(name)}"


def release_key(channel: str, version: str, name: str) -> str:
    """The key of a file of one release, written once."""
    return f"{ROOT}/{channel}/{_checked(version)}/{_checked(name)}"


def public_key(name: str) -> str:
    """The key of a public file of the release keys, which is its URL's path, too."""
    return f"{KEYS}/{_checked(name)}"


def staging_key(build: int, name: str) -> str:
    """Where one attempt's file waits for its row; no other attempt writes there."""
    return f"{INCOMING}/{build}-{_checked(name)}"


def arrival_key(file: int, start: int, tag: str) -> str:
    """Where some bytes of an arriving file wait, from `start` on; `tag` makes it nobody else's."""
    return f"{INCOMING}/{ARRIVAL}{file}-{start}-{_checked(tag)}"


def is_arrival(key: str) -> bool:
    """Whether a key is one of an arriving file's; rows say how long those stay."""
    return key.startswith(f"{INCOMING}/{ARRIVAL}")


def is_kept(key: str) -> bool:
    """Whether what lies under a key is anybody's: all but what a folder is being written by."""
    return not key.startswith(f"{INCOMING}/") or is_arrival(key) or _STAGED.match(key) is not None


def content_type(name: str) -> str:
    """The media type of a file by its name."""
    if name.startswith("SHA256SUMS") or name == "allowed_signers":
        return "text/plain; charset=utf-8"
    types = (each for suffix, each in _CONTENT_TYPES.items() if name.endswith(suffix))
    return next(types, "application/octet-stream")


def _checked(name: str) -> str:
    if not is_file_name(name):
        raise ValueError(f"{name!r} can't be the name of a file in the storage")
    return name
