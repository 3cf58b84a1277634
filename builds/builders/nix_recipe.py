"""Asks Nix what a build was made of: the flake's locked inputs, and the settings that held."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from builds.builders.base import BuilderError, EvaluationFailed, Pin
from builds.builders.how_made import Input, Setting
from builds.builders.nix_command import NixCalls, overrides, sandbox

MOST_INPUTS = 300
_LONGEST = 600
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LETTERS = "0123456789abcdfghijklmnpqrsvwxyz"
_BASE64 = re.compile(r"sha256-([A-Za-z0-9+/]{43}=)")
_BASE32 = re.compile(rf"sha256:([{_LETTERS}]{{52}})")
_BASE16 = re.compile(r"sha256:([0-9a-f]{64})")

# What decides whether a build can see more than its inputs, and whose binaries it may take.
SETTINGS: Final = (
    "filter-syscalls",
    "pure-eval",
    "require-sigs",
    "sandbox",
    "sandbox-fallback",
    "sandbox-paths",
    "substitute",
    "substituters",
    "trusted-public-keys",
)


def inputs(calls: NixCalls, pin: Pin) -> tuple[Input, ...]:
    """The nodes of a pinned flake's lock, the overridden ones as they were taken, by name.

    Raises a BuilderError, also where there are more than anybody would read.
    """
    words = ["flake", "metadata", "--json", "--no-write-lock-file", *overrides(pin.overrides)]
    answer = calls.ask([*words, "--", pin.flake]).json()
    match answer:
        case {"locks": {"nodes": dict(nodes), "root": str(root)}}:
            found = tuple(_inputs(nodes, root))
        case _:
            raise EvaluationFailed(f"Nix does not say what {pin.flake} is locked to.")
    if len(found) > MOST_INPUTS:
        raise EvaluationFailed(f"The flake has {len(found)} inputs; {MOST_INPUTS} are the most.")
    return found


def settings(calls: NixCalls, *, sandboxed: bool) -> dict[str, Setting]:
    """Nix's settings by name, as its client had them for a build that was sandboxed or not.

    Addresses come without users, passwords and queries. Raises a BuilderError.
    """
    told = _config(calls, sandbox(on=sandboxed))
    values = {name: told[name]["value"] for name in SETTINGS if "value" in told.get(name, {})}
    return {name: _setting(name, value) for name, value in values.items()}


def nar_sha256(nar_hash: object) -> str:
    """The lowercase hex of a SHA-256 in any form of Nix's, "" for anything else."""
    if not isinstance(nar_hash, str):
        return ""
    if read := _BASE64.fullmatch(nar_hash):
        return base64.b64decode(read[1]).hex()
    if read := _BASE32.fullmatch(nar_hash):
        return _from_base32(read[1])
    read = _BASE16.fullmatch(nar_hash)
    return read[1] if read else ""


def _from_base32(text: str) -> str:
    """Nix's own base 32: its letters, and the last digit first."""
    number = 0
    for letter in text:
        number = number * 32 + _LETTERS.index(letter)
    # 52 digits hold four bits more than a SHA-256 has.
    return (number % 2**256).to_bytes(32, "little").hex()


def _config(calls: NixCalls, options: list[str]) -> Mapping[str, Any]:
    """The command has got another name since Nix 2.20; the old one stays for a while."""
    try:
        answer = calls.ask(["show-config", "--json", *options]).json()
    except BuilderError:
        answer = calls.ask(["config", "show", "--json", *options]).json()
    return answer if isinstance(answer, dict) else {}


def _setting(name: str, value: object) -> Setting:
    if isinstance(value, bool | int):
        return value
    if not isinstance(value, list):
        return str(value)[:_LONGEST]
    words = sorted(str(word)[:_LONGEST] for word in value)
    return [_public(word) for word in words] if name == "substituters" else words


def _inputs(nodes: Mapping[str, Any], root: str) -> Iterator[Input]:
    for name, node in sorted(nodes.items()):
        match node:
            case {"locked": dict(locked)} if name != root:
                revision = str(locked.get("rev", ""))
                yield Input(
                    name=str(name)[:_LONGEST],
                    uri=_uri(locked)[:_LONGEST],
                    nar_hash=str(locked.get("narHash", ""))[:_LONGEST],
                    revision=revision if _REVISION.fullmatch(revision) else "",
                )


def _uri(locked: Mapping[str, Any]) -> str:
    """A locked node as a flake ref; of a folder on this machine only that it is one."""
    match locked:
        case {
            "type": "github" | "gitlab" | "sourcehut" as forge,
            "owner": str(owner),
            "repo": str(repo),
            "rev": str(revision),
        }:
            return f"{forge}:{owner}/{repo}/{revision}"
        case {"type": "git" | "hg" as kind, "url": str(url)}:
            if url.startswith(("/", "file:")):
                return f"{kind}+file:"
            return f"{kind}+{_public(url)}?rev={locked.get('rev', '')}"
        case {"type": "tarball" | "file", "url": str(url)} if not url.startswith("file:"):
            return _public(url)
        case {"type": str(kind)}:
            return f"{kind}:"
    return "unknown:"


def _public(url: str) -> str:
    """An address without what may be a secret in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
