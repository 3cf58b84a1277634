"""What nixos-anywhere does up to the kexec, after its contract: on the target, and by its words."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from builds.tests.whole_way.ssh import Ssh

_FACTS = """
has() { command -v "$1" > /dev/null && echo y || echo n; }
echo "isOs=$(uname)"
echo "isArch=$(uname -m)"
echo "isInstaller=$(grep -Eq '^ID(_LIKE)?="?nixos"?$' /etc/os-release \\
    && grep -Eq '^VARIANT_ID="?installer"?$' /etc/os-release && echo y || echo n)"
echo "hasTar=$(has tar)"
echo "hasCpio=$(has cpio)"
echo "hasWget=$(has wget)"
echo "hasCurl=$(has curl)"
echo "hasBash=$(has bash)"
echo "hasSetsid=$(setsid --wait true 2> /dev/null && echo y || echo n)"
"""
# The decompressor goes by how the address ends: GNU tar finds none by itself on a pipe.
_DECOMPRESSORS = {".tar.gz": "--gzip", ".tar.xz": "--xz", ".tar.zst": "--zstd", ".tar": ""}
_SCRIPT = """
{{
  set -eu
  cd "$HOME/kexec"
  {fetch} | tar -xv {decompressor}
  TMPDIR="$HOME/kexec" {setsid} "$HOME/kexec/kexec/run" --kexec-extra-flags {flags}
}} 2>&1 | tee "$HOME/kexec/nixos-anywhere.log" || true
if ! grep -q 'machine will boot into nixos' "$HOME/kexec/nixos-anywhere.log"; then
  echo 'Kexec may have failed - check output above'
  exit 1
fi
"""


@dataclass(frozen=True)
class Anywhere:
    """A client of one target. Of the original it leaves out sudo, Nix and all behind the kexec.

    The original needs bash on the target and a setsid that knows --wait; where the target has
    none of them, this one goes on with sh and without.
    """

    ssh: Ssh

    def facts(self) -> dict[str, str]:
        """What is known of the target."""
        lines = self.ssh.get("sh", given=_FACTS.encode()).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def kexec(self, url: str, *, seconds: float = 300) -> str:
        """Boot the target into the installer at a URL; what was said on the way."""
        facts = self.facts()
        assert facts["isOs"] == "Linux"
        assert facts["isInstaller"] == "n", "the original would not kexec at all"
        assert facts["hasTar"] == facts["hasCpio"] == "y"
        script = self._script(url, facts)
        here = '"$HOME/kexec/nixos-anywhere-kexec.sh"'
        self.ssh.get(f'mkdir -p "$HOME/kexec" && cat > {here}', given=script.encode())
        shell = "bash" if facts["hasBash"] == "y" else "sh"
        said = self.ssh.get(f"{shell} {here}")
        # It answers until it boots, and must come back under the same keys, with an empty /root.
        self.ssh.wait_for("machine after the kexec", seconds, command="! test -e /root/kexec")
        assert self.facts()["isInstaller"] == "y"
        return said

    def _script(self, url: str, facts: dict[str, str]) -> str:
        if facts["hasWget"] == "y":
            fetch = ["wget", url, "-O-"]
        else:
            assert facts["hasCurl"] == "y"
            fetch = ["curl", "--fail", "-Ss", "-L", url]
        return _SCRIPT.format(
            fetch=shlex.join(fetch),
            decompressor=next(flag for end, flag in _DECOMPRESSORS.items() if url.endswith(end)),
            setsid="setsid --wait" if facts["hasSetsid"] == "y" else "",
            flags=shlex.quote(""),
        )
