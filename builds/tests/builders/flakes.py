"""Tiny flakes without nixpkgs, whose images are shell scripts: real work for a real Nix."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = f"{platform.machine()}-linux"
PROGRAMS = ("dash", "sleep", "mkdir", "ln", "cat")

# The sandbox of Debian's Nix holds no shell: the flake brings one, with its libraries, and the
# loader is what runs them.
_FLAKE = """
{
  %(inputs)s
  outputs = { self, ... }@inputs:
    let
      tools = ./tools;
      make = name: needs: derivation {
        inherit name needs tools;
        system = "%(system)s";
        builder = "${tools}/ld.so";
        args = [ "--library-path" tools "${tools}/dash" "-eu" (./scripts + "/${name}.sh") ];
      };
      packages = rec {
        %(images)s
      };
    in {
      packages.%(system)s = packages;
    };
}
"""

_PREAMBLE = """
run() { program=$1; shift; "$tools/ld.so" --library-path "$tools" "$tools/$program" "$@"; }
product() {
  run mkdir -p "$out/nix-support"
  echo "file $*" >> "$out/nix-support/hydra-build-products"
}
"""

NETBOOT = """
run mkdir -p $out
echo kernel > $out/bzImage-demo
echo initrd > $out/initrd-demo
run cat > $out/netboot-demo.ipxe <<'EOF'
#!ipxe
kernel bzImage-demo init=/nix/store/x/init initrd=initrd-demo nohibernate loglevel=4 ${cmdline}
initrd initrd-demo
boot
EOF
product kernel $out/bzImage-demo
product initrd $out/initrd-demo
product ipxe $out/netboot-demo.ipxe
"""


@dataclass(frozen=True)
class Flake:
    """A flake in a folder: images by name, each the script that makes it."""

    folder: Path
    images: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inputs: str = ""

    def write(self) -> Flake:
        (self.folder / "scripts").mkdir(parents=True, exist_ok=True)
        copy_tools(self.folder / "tools")
        for name, script in self.images.items():
            # The mark makes each test's derivations new to the Nix store.
            text = f"# {uuid.uuid4()}\n{_PREAMBLE}\n{script}\n"
            (self.folder / "scripts" / f"{name}.sh").write_text(text)
        images = "\n".join(self._image(name) for name in self.images)
        text = _FLAKE % {"inputs": self.inputs, "system": SYSTEM, "images": images}
        (self.folder / "flake.nix").write_text(text)
        return self

    @property
    def ref(self) -> str:
        return f"path:{self.folder}"

    def _image(self, name: str) -> str:
        made = f'make "{name}" [ {" ".join(self.needs.get(name, []))} ]'
        version = self.versions.get(name)
        facts = f" // {{ version = {json.dumps(version)}; }}" if version is not None else ""
        return f"{name} = {made}{facts};"


def attribute(name: str) -> str:
    return f"packages.{SYSTEM}.{name}"


def copy_tools(folder: Path) -> None:
    """Copy a shell, a few programs and what they are linked to."""
    folder.mkdir(exist_ok=True)
    for program in PROGRAMS:
        path = shutil.which(program)
        assert path is not None
        shutil.copy(path, folder / program)
        linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for word in linked.split():
            if word.startswith("/"):
                name = "ld.so" if "/ld-linux" in word else Path(word).name
                shutil.copy(word, folder / name)
