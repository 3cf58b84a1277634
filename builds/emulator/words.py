"""Picks the telling words out of what a machine printed."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9]|c|[=>78])")
_KERNEL_TIME = re.compile(r"^\[\s*\d+\.\d+\] ")
_LONGEST = 200

# A screen is 80 wide: what iPXE says of a failure may go on in the next line.
_IPXE = re.compile(r"[^\r\n]*\(https?://ipxe\.org/\s*[0-9a-f]{6,}\)(?!\])")
_GRUB = re.compile(r"error: [^\r\n]+")
_FIRMWARE = re.compile(r"Boot failed: [^\r\n]+|BdsDxe: failed to [^\r\n]+")
_REMARKS = re.compile(
    r"Initramfs unpacking failed: [^\r\n]+|Failed to execute /\S+ \(error -\d+\)"
    r"|Out of memory[^\r\n]*|System is deadlocked on memory"
    r"|No working init found"
)


def plain(console: str) -> str:
    """A console without its escapes."""
    return _ESCAPES.sub("", console)


def loader_words(console: str) -> str:
    """What iPXE, GRUB or the firmware said of its failure, "" where none did."""
    text = plain(console)
    for pattern in (_IPXE, _GRUB):
        if found := pattern.findall(text):
            return _short(found[-1])
    # Firmware goes on to devices that nobody meant: what it tried first was meant.
    found = _FIRMWARE.findall(text)
    return _short(found[0]) if found else ""


def last_words(console: str) -> str:
    """A sentence with the last line of a console; "" where it is empty."""
    lines = [line for line in plain(console).splitlines() if line.strip()]
    if not lines:
        return " It said nothing at all."
    return f" Its last words: {_short(_KERNEL_TIME.sub('', lines[-1]))}"


def remarks(console: str) -> str:
    """A sentence with what the kernel said before the end and tells why; "" for nothing."""
    said = [found[0] for found in _REMARKS.finditer(plain(console))]
    return f" Before that: {_short('; '.join(dict.fromkeys(said)))}" if said else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
