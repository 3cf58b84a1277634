"""Drafts that are ready to be signed, and the signer as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings

from builds.models import Channel, Release
from builds.pipeline.publish import write_papers, write_script
from builds.tests.downloads.conftest import ready_release
from builds.tests.models.rows import channel
from builds.tests.webs import database_url

__all__ = ["database_url"]

StartSigner = Callable[..., subprocess.Popen[bytes]]


def demo(name: str = "demo") -> Channel:
    """The channel of this name, made where it is missing."""
    return Channel.objects.filter(name=name).first() or channel(name)


def held_release(version: str = "1.0", of: str = "demo") -> Release:
    """A draft that is held, with papers: only the signatures are missing."""
    release = ready_release(demo(of), version)
    assert release.hold("worker-1")
    release.number()
    write_script(release)
    write_papers(release)
    return release


@pytest.fixture
def start_signer(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, settings: LazySettings
) -> Iterator[StartSigner]:
    """Start `manage.py signer` over the test's rows and files; to die at a point, if one is named.

    From then on whoever asks goes through its socket.
    """
    started: list[subprocess.Popen[bytes]] = []
    path = tmp_path / "run" / "signer.sock"

    def start(point: str = "") -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path),
            "SIGNER_SOCKET": str(path),
            "SIGNER_KEYS": str(settings.SIGNER_KEYS),
            "MANIFEST_EXPIRES_DAYS": str(settings.MANIFEST_EXPIRES_DAYS),
        }
        with (tmp_path / "signer.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "builds.tests.signing.armed", point],
                cwd=django_settings.BASE_DIR,
                env=environment,
                stdout=log,
                stderr=log,
            )
        started.append(process)
        settings.SIGNER_SOCKET = path
        settings.SIGNER = {"BACKEND": "builds.signing.SocketSigner", "OPTIONS": {"path": str(path)}}
        _wait_for(path, process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    if started:
        said = (tmp_path / "signer.log").read_text()[-4000:]
        request.node.add_report_section("teardown", "signer", said)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the signer fell"
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError("the signer did not start")
