"""A portal that follows another: what its tests do to both."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds import pipeline
from builds.models import Channel, Head, Release
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.mirrors.conftest import (
    SYSTEM,
    Keys,
    Tree,
    become_another_portal,
    copy_to,
)
from builds.tests.models.rows import channel
from builds.tests.retention.conftest import storage_kind

__all__ = ["storage_kind"]

FOLDER = "releases/download/demo/1.0"
INITRD, MANIFEST = f"initrd-{SYSTEM}", f"release-{SYSTEM}.json"
FILES = (
    f"bzImage-{SYSTEM}",
    INITRD,
    f"netboot-{SYSTEM}.ipxe",
    f"nixos-kexec-installer-{SYSTEM}.tar.gz",
)
LATEST = f"releases/download/demo/latest-{SYSTEM}.json"
HISTORY = "releases/download/demo/releases.json"


def follow(tree: Tree, *words: str) -> str:
    out = io.StringIO()
    call_command("follow", tree.url, "--channel", "demo", *words, stdout=out)
    return out.getvalue()


def refused(tree: Tree, *words: str) -> str:
    out = io.StringIO()
    with pytest.raises(CommandError, match="refused"):
        call_command("follow", tree.url, "--channel", "demo", *words, stdout=out)
    return out.getvalue()


def versions() -> set[str | None]:
    return set(Release.objects.published().values_list("version", flat=True))


def change(tree: Tree, key: str, make: Callable[[dict[str, Any]], object]) -> None:
    """Edit a record of the copy."""
    path = tree.path(key)
    record = json.loads(path.read_text())
    make(record)
    path.write_text(json.dumps(record))


def publish_there(tree: Tree, *names: str) -> None:
    """Let the portal that was copied publish these too, one after the other, and copy it again.

    What this portal has is put aside meanwhile; each comes back from its storage by `restore`.
    """
    kept = {file.key: artifacts().read(file.key) or b"" for file in artifacts().walk("")}
    come_back({file: tree.path(file).read_bytes() for file in tree.files()})
    of = Channel.objects.get()
    for name in names:
        stored_release(of, name)
    copy_to(tree)
    come_back(kept, unsigned=True)


def come_back(files: dict[str, bytes], *, unsigned: bool = False) -> None:
    """Be the portal whose storage held these."""
    become_another_portal()
    for key, data in files.items():
        artifacts().replace(key, data)
    outcomes = list(pipeline.restore(at=timezone.now(), unsigned=unsigned))
    assert not [line for line in outcomes if line.is_refused], outcomes


def signed_copy(tree: Tree, keys: Keys, namespace: str = "nixos-images") -> None:
    release = stored_release(channel(), "1.0")
    keys.sign(release, namespace)
    copy_to(tree)
    become_another_portal()


def pin(tmp_path: Path, *allowed: str) -> tuple[str, str]:
    (tmp_path / "signers").write_text("".join(allowed))
    return "--allowed-signers", str(tmp_path / "signers")


def forget_rows() -> None:
    Head.objects.all().delete(), Release.objects.all().delete(), Channel.objects.all().delete()
