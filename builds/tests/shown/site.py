"""A portal of its own: a database in a folder that goes, its rows, and gunicorn before it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
PATIENCE = 60  # seconds


@contextmanager
def site(
    port: int, make_rows: Callable[[], dict[str, str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Its URL and the paths of its pages; served as `make run` does, static files packed."""
    with tempfile.TemporaryDirectory(prefix="portal-shown-") as folder:
        os.environ |= {
            "DATA_DIR": folder,
            "DATABASE_URL": f"sqlite:///{folder}/portal.sqlite3",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "DEBUG": "false",
        }
        paths = _prepared(make_rows)
        config = str(ROOT / "deploy" / "gunicorn_settings.py")
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--config", config),
                *("--bind", f"127.0.0.1:{port}", "portal.wsgi"),
            ],
            cwd=ROOT,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{url}/healthz")
            yield url, paths
        finally:
            server.terminate()
            server.wait()


def _prepared(make_rows: Callable[[], dict[str, str]]) -> dict[str, str]:
    import django

    django.setup()
    from django.core.management import call_command

    from builds.management.commands.prepare import collect_static

    call_command("migrate", verbosity=0)
    collect_static()
    return make_rows()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"the portal at {url} did not start")
