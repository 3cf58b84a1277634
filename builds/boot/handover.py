"""Packs boot options into the small initrd that an image restores them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builds.boot.options import BootOptions

NAME = "handover.cpio"
_FOLDER, _FILE = 0o40700, 0o100600
_BLOCK = 512


def handover(options: BootOptions) -> bytes:
    """An archive (newc) with the same folder `handover/` that kexec/run writes.

    The same options give the same bytes. Its length is a multiple of 512: a kernel looks for
    the next archive at a multiple of four, and boot loaders differ in what they pad.
    """
    return archive(handover_files(options))


def handover_files(options: BootOptions) -> dict[str, str]:
    """What is handed over, by the path in the archive; {} where there is nothing."""
    files = {
        "handover/hostname": _lines([options.hostname] if options.hostname else []),
        "handover/network": _lines(_network(options)),
        "handover/ssh/authorized_keys": _lines(options.keys),
    }
    return {path: text for path, text in files.items() if text}


def archive(files: Mapping[str, str]) -> bytes:
    """Files and the folders above them, for root alone, as a newc archive."""
    entries: dict[str, bytes | None] = {}
    for path, text in sorted(files.items()):
        parents = path.split("/")[:-1]
        entries |= {"/".join(parents[: depth + 1]): None for depth in range(len(parents))}
        entries[path] = text.encode()
    parts = [_entry(path, data, inode) for inode, (path, data) in enumerate(entries.items(), 1)]
    data = b"".join([*parts, _entry("TRAILER!!!", b"", 0, mode=0)])
    return data.ljust(-(-len(data) // _BLOCK) * _BLOCK, b"\0")


def _network(options: BootOptions) -> Iterator[str]:
    card = options.card or "any"
    yield from (f"address {card} {address.with_prefixlen}" for address in options.addresses)
    yield from (f"gateway {card} {gateway}" for gateway in options.gateways)
    yield from (f"nameserver {server}" for server in options.nameservers)


def _lines(lines: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _entry(path: str, data: bytes | None, inode: int, mode: int | None = None) -> bytes:
    """One member; a folder where it has no data (the kernel's Documentation, buffer-format)."""
    content = data or b""
    kind = mode if mode is not None else _FOLDER if data is None else _FILE
    name = path.encode() + b"\0"
    # inode, mode, owner, group, links, time, size, device (2), special file (2), name, checksum
    fields = (inode, kind, 0, 0, 1, 1, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + "".join(f"{field:08X}" for field in fields).encode() + name
    return _to_four(head) + _to_four(content)


def _to_four(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
