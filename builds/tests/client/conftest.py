"""The client as an installed command, and portals that it talks to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings

from builds.models import Release
from builds.tests.factories import ReleaseFactory

CLIENT = django_settings.BASE_DIR / "client"


@dataclass(frozen=True)
class Done:
    """How a command has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """The installed command, with a home of its own."""

    program: Path
    home: Path

    def environment(self, url: str, **more: str) -> dict[str, str]:
        homes = {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
        }
        plain = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        return {**plain, **homes, "NIXOS_IMAGES_URL": url, **more}

    def __call__(self, url: str, *words: object, **more: str) -> Done:
        done = subprocess.run(
            [self.program, *map(str, words)],
            env=self.environment(url, **more),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, url: str, *words: object, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, *map(str, words)],
            env=self.environment(url, **more),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in an environment that has nothing else; nothing comes over a network."""
    folder = tmp_path_factory.mktemp("client")
    source = folder / "source"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    quiet = ("--no-index", "--no-deps")
    wheel = ("wheel", *quiet, "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    subprocess.run([*pip, *wheel], check=True)
    venv.create(folder / "venv", with_pip=False)
    python = str(folder / "venv" / "bin" / "python")
    (made,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", *quiet, str(made)], check=True)
    return folder / "venv" / "bin" / "nixos-images"


@pytest.fixture
def client(installed: Path, tmp_path: Path) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    return Command(installed, home)


MakeRelease = Callable[..., Release]


@pytest.fixture
def publish(settings: LazySettings, tmp_path: Path) -> MakeRelease:
    """Publish releases whose files lie where a web server of this test serves them from."""
    options: Any = settings.STORAGES["artifacts"]["OPTIONS"]
    options["location"] = tmp_path / "storage"

    def make(**fields: object) -> Release:
        return ReleaseFactory(channel__name="demo", published=True, stored=True, **fields)

    return make
