"""Releases to look at, and for the tests of /k/ one that a server of theirs gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from builds.models import Channel, Release
from builds.tests.boot.kexec import published
from builds.tests.boot.rescue import Rescue, Shop, shop
from builds.tests.downloads.conftest import weeks
from builds.tests.models.rows import channel

__all__ = ["weeks"]

MakeRescue = Callable[..., Rescue]


@pytest.fixture
def served() -> Iterator[Shop]:
    with shop() as given:
        yield given


@pytest.fixture
def demo(db: None, settings: LazySettings, served: Shop) -> Channel:
    settings.PORTAL_URL = served.url
    return channel(is_default=True)


@pytest.fixture
def release(demo: Channel, served: Shop) -> Release:
    return published(demo, "1.0", served)


@pytest.fixture
def rescue(tmp_path: Path) -> MakeRescue:
    def make(shell: str = "dash", *programs: str) -> Rescue:
        root = tmp_path / f"system-{len(list(tmp_path.glob('system-*')))}"
        root.mkdir()
        return Rescue(root, shell, *(programs or ("curl",)))

    return make
