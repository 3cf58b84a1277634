"""Fixes a flake and the inputs that are overridden at their present revision."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from builds.builders.base import EvaluationFailed, Pin, Source
from builds.builders.nix_command import Answer, NixCalls, overrides

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,99}")
_ADDED_INPUT = re.compile(r"Added input '([^']+)'")


@dataclass(frozen=True, slots=True)
class Locked:
    """One flake at one revision: its pinned flake ref, and when it was last modified."""

    ref: str
    revision: str
    nar_hash: str
    modified_at: datetime


def pin(calls: NixCalls, source: Source) -> Pin:
    """Pin a source. Raises EvaluationFailed or BuilderUnavailable."""
    inputs = {name: _locked(_metadata(calls, ref)) for name, ref in source.overrides.items()}
    refs = {name: locked.ref for name, locked in inputs.items()}
    metadata = _metadata(calls, source.flake, refs)
    flake = _locked(metadata)
    named = _named(source.revision_input, flake, inputs, metadata)
    return Pin(
        flake=flake.ref,
        overrides=refs,
        revision=named.revision,
        nar_hash=flake.nar_hash,
        version=_version(calls, f"{flake.ref}#{source.attribute}", refs) or _dated_version(named),
    )


def _metadata(calls: NixCalls, ref: str, refs: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What Nix knows of a flake; with `refs`, of one that is built with these overrides."""
    arguments = ["flake", "metadata", "--json", "--no-write-lock-file", *overrides(refs or {})]
    answer = calls.ask([*arguments, "--", ref])
    if refs is not None:
        _refuse_floating_inputs(answer, refs)
    metadata = answer.json()
    if not isinstance(metadata, dict) or not isinstance(metadata.get("locked"), dict):
        raise EvaluationFailed(f"Nix does not say to what {ref} is locked.")
    return metadata


def _locked(metadata: Mapping[str, Any]) -> Locked:
    """The pinned ref of a flake from its metadata."""
    locked = metadata["locked"]
    nar_hash = str(locked.get("narHash", ""))
    return Locked(
        ref=_pinned_ref(metadata),
        revision=_revision(locked),
        nar_hash=nar_hash,
        modified_at=_modified_at(locked),
    )


def _pinned_ref(metadata: Mapping[str, Any]) -> str:
    """A ref that gives the same content later, or an error.

    A folder is pinned by its content alone: Nix's own locked ref also has the time of its
    last change, which differs between two checkouts of the same content. What has no ref of
    its own that could be pinned, such as a git tree with uncommitted changes, is pinned as
    the copy of it in the Nix store.
    """
    locked = metadata["locked"]
    if locked.get("type") == "path":
        return f"path:{locked['path']}?narHash={locked['narHash']}"
    url = str(metadata.get("url") or metadata.get("resolvedUrl", ""))
    if locked.get("rev") or "narHash=" in url:
        return url
    return f"path:{metadata['path']}?narHash={locked['narHash']}"


def _revision(locked: Mapping[str, Any]) -> str:
    """The git revision, or the first 40 hex digits of the NAR hash."""
    if locked.get("rev"):
        return str(locked["rev"])
    _, _, encoded = str(locked.get("narHash", "")).partition("-")
    try:
        return base64.b64decode(encoded, validate=True).hex()[:40]
    except binascii.Error as broken:
        raise EvaluationFailed("Nix gives neither a revision nor a NAR hash.") from broken


def _modified_at(locked: Mapping[str, Any]) -> datetime:
    modified = locked.get("lastModified", 0)
    return datetime.fromtimestamp(modified if isinstance(modified, int) else 0, tz=UTC)


def _named(
    name: str, flake: Locked, inputs: Mapping[str, Locked], metadata: Mapping[str, Any]
) -> Locked:
    """What names the release: the flake itself, an overridden input, or one from its lock file."""
    if not name:
        return flake
    if name in inputs:
        return inputs[name]
    locks = metadata.get("locks", {})
    nodes = locks.get("nodes", {})
    node = nodes.get(locks.get("root"), {}).get("inputs", {}).get(name)
    locked = nodes.get(node, {}).get("locked") if isinstance(node, str) else None
    if locked is None:
        raise EvaluationFailed(
            f"The flake has no input {name}, which should name the revision; correct the channel's "
            "revision input."
        )
    return Locked("", _revision(locked), str(locked.get("narHash", "")), _modified_at(locked))


def _refuse_floating_inputs(answer: Answer, refs: Mapping[str, str]) -> None:
    """Refuse a flake with an input that nothing fixes: each evaluation might take another one."""
    added = {name.partition("/")[0] for line in answer.log for name in _ADDED_INPUT.findall(line)}
    if floating := sorted(added - {name.partition("/")[0] for name in refs}):
        raise EvaluationFailed(
            f"Nothing fixes the flake's input {floating[0]}: run `nix flake lock` in the flake and "
            "commit flake.lock, or name the input among the overrides."
        )


def _version(calls: NixCalls, installable: str, refs: Mapping[str, str]) -> str:
    """What the derivation calls itself, "" where it has no version."""
    arguments = ["eval", "--json", "--no-write-lock-file", *overrides(refs)]
    answer = calls.ask([*arguments, "--apply", 'd: d.version or ""', "--", installable])
    version = answer.json()
    if version and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise EvaluationFailed(
            f"The image calls its version {str(version)[:100]!r}; a version is made of letters, "
            "digits, dots, dashes, underscores and plus signs, so that it can stand in a URL."
        )
    return str(version)


def _dated_version(named: Locked) -> str:
    """`20260820.b18a4b9`: for images that don't say their version."""
    return f"{named.modified_at:%Y%m%d}.{named.revision[:7]}"
