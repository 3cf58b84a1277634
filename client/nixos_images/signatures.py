"""Signatures of OpenSSH, verified by its own ssh-keygen."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from nixos_images.failures import BadUsage, NotVerified

NAMESPACE = "nixos-images"
SIGNATURE = ".sig"
MOST_SECONDS = 30


def verify(data: bytes, signature: bytes, signers: Path) -> str:
    """Who of the allowed signers signed this; raises NotVerified where none did."""
    with tempfile.TemporaryDirectory(prefix="nixos-images-") as folder:
        file = Path(folder) / "signature"
        file.write_bytes(signature)
        common = ("-n", NAMESPACE, "-s", str(file), "-f", str(signers))
        found = _keygen("find-principals", *common, data=data)
        names = [line.strip() for line in found.stdout.splitlines() if line.strip()]
        if found.returncode or not names:
            raise NotVerified(f"the signature is by none of {signers}")
        checked = _keygen("verify", "-I", names[0], *common, data=data)
        if checked.returncode:
            said = (checked.stderr or checked.stdout).strip().splitlines() or [
                "it does not say why"
            ]
            raise NotVerified(f"the signature is wrong, says ssh-keygen: {said[-1]}")
    return names[0]


def _keygen(action: str, *words: str, data: bytes) -> subprocess.CompletedProcess[str]:
    # find-principals takes no namespace, and reads nothing.
    if action == "find-principals":
        words, data = words[2:], b""
    try:
        done = subprocess.run(
            ["ssh-keygen", "-Y", action, *words],
            input=data,
            capture_output=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadUsage(f"ssh-keygen can't be run: {error}") from None
    text = [part.decode("utf-8", "replace") for part in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(done.args, done.returncode, *text)
