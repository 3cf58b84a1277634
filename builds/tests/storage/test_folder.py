"""What only a folder can get wrong: half files, hidden leftovers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builds.storage import FolderStorage, artifacts

KEY = "releases/download/demo/1/kernel"


def test_nothing_is_left_in_the_incoming_folder(tmp_path: Path, storage_folder: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"kernel")

    artifacts().put_once(KEY, source)
    artifacts().put_once(KEY, source)
    artifacts().replace("releases/download/demo/SHA256SUMS", b"sums")

    assert list((storage_folder / ".incoming").iterdir()) == []


def test_full_disk_leaves_nothing_under_the_key(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    source = tmp_path / "source"
    source.write_bytes(b"x" * 4 * 1024 * 1024)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        storage = FolderStorage(location=disk)
        with pytest.raises(OSError, match="No space left"):
            storage.put_once(KEY, source)
        assert not storage.exists(KEY)
        assert list((disk / ".incoming").iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
