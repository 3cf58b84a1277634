"""Reads the iPXE script of a release, and says the same to GRUB, where there is no iPXE."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from builds.emulator.watch import GRUB_GAVE_UP


class ScriptError(Exception):
    """The script does not do what a netboot needs; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Netboot:
    """What an iPXE script boots: absolute URLs, and the kernel's command line."""

    kernel: str
    params: str
    initrds: tuple[str, ...]


def read(script: str, url: str) -> Netboot:
    """What a script that lies at a URL boots. Raises ScriptError.

    Knows the commands of a plain netboot: kernel, initrd, boot; ${cmdline} is nothing, as for a
    machine that chains to nothing else.
    """
    lines = script.splitlines()
    if not lines or lines[0].strip() != "#!ipxe":
        raise ScriptError("The script does not begin with #!ipxe.")
    kernel, params, initrds, boots = "", "", [], False
    for line in lines[1:]:
        command, *words = line.replace("${cmdline}", "").split() or ["#"]
        if command == "kernel" and words:
            kernel, params = urljoin(url, words[0]), " ".join(words[1:])
        elif command == "initrd" and words:
            initrds.append(urljoin(url, words[-1]))
        elif command == "boot":
            boots = True
        elif not command.startswith("#"):
            raise ScriptError(f"The script has a line that only iPXE understands: {line.strip()}")
    if not kernel or not initrds or not boots:
        raise ScriptError("The script does not name a kernel and an initrd and boot them.")
    return Netboot(kernel, params, tuple(initrds))


def grub_config(netboot: Netboot) -> str:
    """The same for GRUB, which takes it from the disk it was started from."""
    lines = [
        "set pager=0",
        "net_dhcp",
        f"echo Loading {_quoted(netboot.kernel)}",
        f"if linux {_file(netboot.kernel)} {_words(netboot.params)}; then",
        f"echo Loading {_quoted(' '.join(netboot.initrds))}",
        f"if initrd {' '.join(_file(each) for each in netboot.initrds)}; then",
        "boot",
        "fi",
        "fi",
        # It would go on to its own prompt.
        f"echo {_quoted(GRUB_GAVE_UP)}",
    ]
    return "\n".join(lines) + "\n"


def _file(url: str) -> str:
    parts = urlsplit(url)
    # GRUB splits a server from its port at a comma of its own.
    port = f":{parts.port}" if parts.port else ""
    return _quoted(f"(http,{parts.hostname}{port}){parts.path}")


def _words(params: str) -> str:
    return " ".join(_quoted(word) for word in params.split())


def _quoted(word: str) -> str:
    """A word as GRUB takes it, whatever is in it."""
    escaped = word.replace("'", "'\\''")
    return f"'{escaped}'"
