"""The smallest programs that say something on a serial port, for probing QEMU without a kernel."""

from __future__ import annotations

import struct
from enum import Enum

_SECTOR = 512
_DISK = 1024 * 1024
_SIGNATURE = b"\x55\xaa"
_LOADED_AT = 0x7C00
_ARM_HEADER = 64


class SectorEnd(Enum):
    """What a boot sector does once it has spoken, as 16-bit machine code."""

    HALT = bytes.fromhex("f4 eb fd")  # hlt; jmp to it
    DEBUG_EXIT = bytes.fromhex("ba f4 00  b0 2a  ee  f4 eb fd")  # out 0xf4, 42: QEMU ends with 85
    REBOOT = bytes.fromhex("b0 fe  e6 64  f4 eb fd")  # out 0x64, 0xfe: reset by the keyboard's chip
    # wait for a byte on COM1, write it back, again
    ECHO = bytes.fromhex("ba fd 03  ec  a8 01  74 fb  ba f8 03  ec  ee  eb f1")


def boot_disk(text: bytes, end: SectorEnd = SectorEnd.HALT) -> bytes:
    """A disk that writes a text to COM1 and then ends so. For x86, started by a BIOS.

    It is 1 MiB long: SeaBIOS starts no smaller disk from virtio.
    """
    code = bytes.fromhex(
        "fa"  # cli
        "31 c0  8e d8"  # ds = 0
        "be 00 00"  # si = address of the text, filled in below
        "ba f8 03"  # dx = COM1
        "ac"  # next: al = *si++
        "84 c0  74 03"  # if al = 0: done
        "ee"  # out dx, al
        "eb f8"  # jmp next
    )
    code += end.value
    address = struct.pack("<H", _LOADED_AT + len(code))
    program = code[:6] + address + code[8:] + text + b"\0"
    if len(program) > _SECTOR - len(_SIGNATURE):
        raise ValueError("The text does not fit into a boot sector.")
    sector = program.ljust(_SECTOR - len(_SIGNATURE), b"\0") + _SIGNATURE
    return sector.ljust(_DISK, b"\0")


def arm64_image(text: bytes, *, power_off: bool = False) -> bytes:
    """A Linux-style `Image` that writes a text to the UART of QEMU's machine `virt`."""
    ends = (0x52800100, 0x72B08000, 0xD4000002) if power_off else ()  # PSCI SYSTEM_OFF by hvc
    instructions = (
        0xD2A12002,  # x2 = 0x09000000, the PL011
        0x38401420,  # next: w0 = *x1++
        0x34000060,  # if w0 = 0: done
        0x39000040,  # *x2 = w0
        0x17FFFFFD,  # b next
        *ends,
        0x14000000,  # b to itself
    )
    distance = 4 * (len(instructions) + 1)
    adr = 0x10000001 | (distance >> 2) << 5  # x1 = address of the text, which stands behind
    code = struct.pack(f"<{len(instructions) + 1}I", adr, *instructions)
    branch = 0x14000000 | _ARM_HEADER // 4
    size = _ARM_HEADER + len(code) + len(text) + 1
    header = struct.pack("<IIQQQQQQ4sI", branch, 0, 0, size, 0, 0, 0, 0, b"ARM\x64", 0)
    return header + code + text + b"\0"
