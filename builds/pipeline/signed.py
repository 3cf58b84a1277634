"""Signatures of OpenSSH over a release's papers, verified against pinned keys."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from builds import processes
from builds.pipeline.mirrored import Refused
from builds.signing import BadSignature, opened, verify_envelope

NAMESPACE = "nixos-images"
SUFFIX = ".sig"
_KEY = re.compile(r"ssh-ed25519 ([A-Za-z0-9+/]{68})(?: |$)")


def signer_of(papers: dict[str, bytes], names: Iterable[str], allowed_signers: str) -> str:
    """Who has signed each of these papers; their signatures are among them, under NAME.sig.

    Raises Refused where one is not signed, or not by a pinned key, or by another one.
    """
    signers = {_signer_of(papers, name, allowed_signers) for name in names}
    if len(signers) != 1:
        raise Refused(f"its papers are signed by different keys: {', '.join(sorted(signers))}")
    return signers.pop()


def check_envelope(name: str, data: bytes, allowed_signers: str) -> None:
    """Raises Refused unless one of the pinned keys signed the statement in a DSSE envelope."""
    lines = [line for line in allowed_signers.splitlines() if not line.startswith("#")]
    for public in (f"ssh-ed25519 {found[1]}" for line in lines if (found := _KEY.search(line))):
        try:
            verify_envelope(opened(data), public)
        except (BadSignature, ValueError):
            continue
        return
    raise Refused(f"{name}: its signature is not good, or by no key that is pinned")


def check_signers(text: str) -> str:
    """The text of an allowed_signers file as it is pinned. Raises Refused where it names no key."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or any(len(line.split()) < 3 for line in lines):  # noqa: PLR2004 - who, kind, key
        raise Refused("it is no file of allowed signers: each line wants who, kind of key, key")
    return "".join(f"{line}\n" for line in lines)


def _signer_of(papers: dict[str, bytes], name: str, allowed_signers: str) -> str:
    signature = papers.get(f"{name}{SUFFIX}")
    if signature is None:
        raise Refused(f"{name} is not signed: there is no {name}{SUFFIX}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "paper").write_bytes(papers[name])
        (place / "signature").write_bytes(signature)
        (place / "signers").write_text(allowed_signers)
        for principal in _principals(place):
            if _is_verified(place, principal):
                return principal
    raise Refused(f"{name}: its signature is not good, or by no key that is pinned")


def _principals(place: Path) -> list[str]:
    """Whose key the signature was made with, by the names that the pinned keys have."""
    code, said = processes.answer(
        ["ssh-keygen", "-Y", "find-principals", *_files(place)],
    )
    return [name for line in said.splitlines() for name in line.split(",")] if code == 0 else []


def _is_verified(place: Path, principal: str) -> bool:
    who = ["-I", principal, "-n", NAMESPACE]
    with (place / "paper").open("rb") as paper:
        command = ["ssh-keygen", "-Y", "verify", *_files(place), *who]
        return processes.answer(command, given=paper)[0] == 0


def _files(place: Path) -> list[str]:
    return ["-f", str(place / "signers"), "-s", str(place / "signature")]
