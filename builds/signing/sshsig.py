"""SSHSIG by OpenSSH's own ssh-keygen, which every rescue system has to verify with."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from pathlib import Path

from builds import processes
from builds.signing.files import private

# What a signature is for; one that was made for something else does not verify.
NAMESPACE = "nixos-images"
KEYS_NAMESPACE = "nixos-images-keys"
# The names before the keys in allowed_signers.
SIGNER = "nixos-images"
ROOT = "nixos-images-root"

_PUBLIC = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}")


class BadSignature(Exception):
    """A signature does not prove what it should; the text says why."""


def make_key(path: Path, comment: str) -> None:
    """Write a new Ed25519 key to `path`, without a passphrase, and its public half beside it."""
    words = ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    _run("ssh-keygen", *words)


def public_key(path: Path) -> str:
    """Type and key of a public key file, without its comment. Raises ValueError."""
    text = " ".join(path.read_text().split()[:2])
    if not is_public_key(text):
        raise ValueError(f"{path} holds no Ed25519 key of OpenSSH")
    return text


def is_public_key(text: str) -> bool:
    """Whether a text is one Ed25519 public key without a comment."""
    return _PUBLIC.fullmatch(text) is not None


def fingerprint(public: str) -> str:
    """What people compare: SHA256:… as ssh-keygen -l prints it."""
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def signer_line(public: str) -> str:
    """The line of an allowed_signers file for a release key, without dates."""
    return f'{SIGNER} namespaces="{NAMESPACE}" {public}'


def root_line(public: str) -> str:
    """The line for the root key, which signs keys.json and nothing else."""
    return f'{ROOT} namespaces="{KEYS_NAMESPACE}" {public}'


def sign(data: bytes, key: Path, namespace: str) -> bytes:
    """The armored signature of a private key file; the same data gives the same bytes.

    Raises OSError.
    """
    return _run("ssh-keygen", "-Y", "sign", "-f", str(private(key)), "-n", namespace, given=data)


def verify(data: bytes, signature: bytes, signers: str, name: str, namespace: str) -> None:
    """Check a signature against lines of an allowed_signers file. Raises BadSignature."""
    with tempfile.TemporaryDirectory(prefix="sshsig-") as folder:
        allowed, stored = Path(folder, "allowed_signers"), Path(folder, "signature")
        allowed.write_text(f"{signers}\n")
        stored.write_bytes(signature)
        words = ["-f", str(allowed), "-I", name, "-n", namespace, "-s", str(stored)]
        done = processes.ask(["ssh-keygen", "-Y", "verify", *words], given=data)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise BadSignature(f"ssh-keygen does not accept it: {said or done.returncode}")


def _run(*command: str, given: bytes = b"") -> bytes:
    done = processes.ask(command, given)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise OSError(f"{command[0]} failed: {said or done.returncode}")
    return done.stdout
