"""Public keys as ssh-keygen makes them pass; what is cut, private or something else does not."""

from __future__ import annotations

import base64

import pytest

from builds.boot.ssh_keys import NotAKey, public_key
from builds.tests.boot.examples import key

KINDS = [
    ("ed25519", 0),
    ("rsa", 2048),
    ("rsa", 4096),
    ("ecdsa", 256),
    ("ecdsa", 384),
    ("ecdsa", 521),
]


def line(kind: str, *parts: bytes) -> str:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind.encode(), *parts))
    return f"{kind} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_key_of_every_kind_passes_as_it_is(kind: str, bits: int) -> None:
    assert public_key(key(kind, bits)) == key(kind, bits)


def test_key_of_a_security_token_passes() -> None:
    ours = line("sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:")
    assert public_key(f"  {ours}   my  token ") == f"{ours} my  token"
    curve = line("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\x04" + bytes(64), b"ssh:me")
    assert public_key(curve) == curve


@pytest.mark.parametrize("cut", [1, 4, 5, 20])
def test_cut_key_is_refused(cut: int) -> None:
    with pytest.raises(NotAKey):
        public_key(" ".join(key().split()[:2])[:-cut])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ('from="192.0.2.1" ssh-ed25519 AAAA', "begin with its type"),
        ("ssh-dss AAAA", "begin with its type"),
        ("ssh-ed25519 AAA!", "not base64"),
        ("ssh-ed25519 äää", "not base64"),
        ("ssh-ed25519", "was it cut"),
        (line("ssh-rsa", b"\x03", b"\x00" + b"\xff" * 128), "no usable ssh-rsa"),
        (line("ssh-rsa", b"\x02", b"\x00" + b"\xff" * 256), "no usable ssh-rsa"),
        (line("ssh-ed25519", bytes(32), b"more"), "no usable ssh-ed25519"),
        (line("ecdsa-sha2-nistp256", b"nistp384", b"\x04" + bytes(64)), "no usable ecdsa"),
        (line("ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(64)), "no usable ecdsa"),
        (line("sk-ssh-ed25519@openssh.com", bytes(32), b"evil"), "no usable sk-"),
        (line("ssh-ed25519", bytes(32)).replace("ssh-ed25519 ", "ssh-rsa "), "no ssh-rsa key"),
        (line("ssh-ed25519", bytes(32)) + " a\x1b[31m", "printable"),
        (line("ssh-ed25519", bytes(32)) + " " + "x" * 101, "100 letters"),
    ],
)
def test_what_is_no_public_key_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(NotAKey, match=words):
        public_key(text)
