"""A release in a tar, taken by another portal: for the tests of both."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import call_command

from builds.tests.downloads.conftest import stored_release
from builds.tests.mirrors.conftest import SYSTEM, become_another_portal
from builds.tests.models.rows import channel

FOLDER = "releases/download/demo/1.0"
INITRD, MANIFEST, SUMS = f"initrd-{SYSTEM}", f"release-{SYSTEM}.json", f"SHA256SUMS-{SYSTEM}"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A tar of one release; the portal that is left has nothing of it."""
    stored_release(channel(), "1.0")
    return pack(tmp_path / "demo.tar")


def pack(path: Path, *words: str) -> Path:
    call_command("export", "demo", str(path), *words, stdout=io.StringIO())
    become_another_portal()
    return path


def take(path: Path, *words: str) -> str:
    out = io.StringIO()
    call_command("import", str(path), *words, stdout=out)
    return out.getvalue()
