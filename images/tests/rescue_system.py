"""A small Linux in a folder, of a shell and BusyBox, to run kexec/run in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from random import Random

RUN = Path(__file__).parents[1] / "kexec" / "run"
SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/bin/busybox", "ash"]}
# What a rescue system has at least. There is no cpio, gzip, getent, setsid or stat among them.
TOOLS = (
    *("awk", "cat", "cp", "cut", "dirname", "find", "grep", "head", "id", "ls", "mkdir", "rm"),
    *("sed", "sort", "sh", "sync", "tail", "tr", "wc"),
)
MIB = 1024  # KiB

# kexec's part is played by a script that keeps what it is given: the real one would end the tests.
KEXEC = """#!/bin/sh
echo "$*" >> /calls
for word in "$@"; do
    case $word in
        --initrd=*)
            cp "${word#*=}" "/loaded$(grep -c load /calls)"
            ls -ln "${word#*=}" >> /modes
            ;;
    esac
done
case " $* " in *" $(cat /refused 2> /dev/null || echo -) "*) exit 255 ;; esac
"""
IP = """#!/bin/sh
cat "${0%/*}/answers/${1#-}"
"""
SLEEP = """#!/bin/sh
echo "sleep $*" >> /calls
"""


class RescueSystem:
    """A machine that kexec/run would boot: everything that it looks at is a file of ours."""

    def __init__(self, root: Path, shell: list[str]) -> None:
        self.root = root
        self.shell = shell
        self.folder = "/root/kexec"
        for program in {shell[0], "/bin/busybox"}:
            self._install(program)
        for tool in TOOLS:
            (root / "bin" / tool).symlink_to("busybox")
        self.write("bin/sleep", SLEEP, 0o755)
        self.write("dev/null", "")
        self.write("tmp/keep", "")
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nadmin:x:1000:1000::/home/admin:\n")
        self._write_kernel()
        self._unpack()

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Put a file into the system."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        """The text of one of its files, "" where there is none."""
        file = self.root / path.lstrip("/")
        return file.read_text() if file.exists() else ""

    def memory(self, **kib: int) -> None:
        """Let the machine have so much RAM, by the words of /proc/meminfo."""
        lines = [f"{name}:{amount:>15} kB\n" for name, amount in kib.items()]
        self.write("proc/meminfo", "".join(lines))

    def image_needs(self, mib: int) -> None:
        """Say in the tarball how much RAM its image needs, as packing it does."""
        self._unpack(str(mib))

    def answers(self, *, addresses: str, v4: str = "", v6: str = "") -> None:
        """What `ip` says of addresses, and of the routes of both families."""
        for option, text in {"o": addresses, "4": v4, "6": v6}.items():
            self.write(f"root/kexec/answers/{option}", text)

    def run(
        self, *arguments: str, user: int = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run kexec/run as somebody, in a mount namespace that has a real /dev/null."""
        mount = f'mount --bind /dev/null "{self.root}/dev/null" && exec chroot "$@"'
        there = (f"--userspec={user}:{user}", str(self.root), *self.shell, f"{self.folder}/run")
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", mount, "sh", *there, *arguments],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """What was asked of kexec, and of sleep."""
        return self.read("calls").splitlines()

    def unpacked(self, number: int = 1) -> Path:
        """The archive behind the initrd that was loaded as the so-manieth, unpacked by cpio."""
        initrd = (self.root / f"loaded{number}").read_bytes()
        own = self.initrd
        assert initrd.startswith(own)
        target = self.root / f"unpacked{number}"
        target.mkdir()
        archive = initrd[len(own) + -len(own) % 4 :]
        subprocess.run(
            ["cpio", "--quiet", "-id"], input=archive, cwd=target, capture_output=True, check=True
        )
        return target / "handover"

    @property
    def initrd(self) -> bytes:
        """The image's own initrd, as it lies in the folder now."""
        return (self.root / "root/kexec/initrd").read_bytes()

    def _install(self, program: str) -> None:
        """Copy a program of this machine with its libraries."""
        found = shutil.which(Path(program).name)
        assert found, f"the tests need {program}"
        (self.root / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(found, self.root / program.lstrip("/"))
        linked = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
        for library in (word for word in linked.split() if word.startswith("/")):
            target = self.root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)

    def _write_kernel(self) -> None:
        self.write("proc/sys/kernel/kexec_load_disabled", "0\n")
        self.write("proc/self/status", "CapEff:\t000001ffffffffff\n")
        self.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.memory(MemTotal=2048 * MIB, MemAvailable=1024 * MIB)

    def _unpack(self, min_ram_mib: str = "") -> None:
        text = RUN.read_text().replace("@kernelParams@", "init=/init console=tty0")
        self.write("root/kexec/run", text.replace("@minRamMib@", min_ram_mib), 0o755)
        self.write("root/kexec/kexec", KEXEC, 0o755)
        self.write("root/kexec/ip", IP, 0o755)
        self.write("root/kexec/bzImage", Random(1).randbytes(5000))
        self.write("root/kexec/initrd", Random(2).randbytes(100_001))
