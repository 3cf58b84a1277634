"""The threads of the web processes share a few connections to PostgreSQL, and wait for one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings

from builds.tests.crash.world import Postgresql, wait_for
from builds.tests.ports import free_port
from builds.tests.serving.asking import Answer, ask

POOL, PROCESSES, AT_ONCE = 2, 2, 48


@pytest.fixture(scope="module")
def database() -> Iterator[Postgresql]:
    folder = Path(tempfile.mkdtemp(prefix="portal-connections-"))  # its user must reach it
    folder.chmod(0o755)
    server = Postgresql(folder, free_port())
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def web(database: Postgresql, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of web processes as they are in production."""
    address = f"127.0.0.1:{free_port()}"
    config = str(settings.BASE_DIR / "deploy" / "gunicorn_settings.py")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--config", config, "--bind", address),
            *("--workers", str(PROCESSES), "builds.tests.databases.holding"),
        ],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DATABASE_URL": database.url,
            "DATABASE_POOL": str(POOL),
            "DATA_DIR": str(tmp_path_factory.mktemp("data")),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "REDIS_URL": "redis://127.0.0.1:1/0",
        },
    )
    url = f"http://{address}"
    wait_for(lambda: is_answered(url), 60)
    yield url
    process.terminate()
    process.wait(10)


def is_answered(url: str) -> bool:
    try:
        return ask(url, "/").status == 200
    except OSError:
        return False


def test_many_who_ask_at_once_wait_for_a_few_connections(web: str) -> None:
    with ThreadPoolExecutor(AT_ONCE) as many:
        answers: list[Answer] = list(many.map(lambda _: ask(web, "/"), range(2 * AT_ONCE)))

    assert {answer.status for answer in answers} == {200}
    assert 1 <= len({answer.body for answer in answers}) <= POOL * PROCESSES


def test_database_that_was_away_is_asked_again_at_once(web: str, database: Postgresql) -> None:
    with database.away(), ThreadPoolExecutor(AT_ONCE) as many:
        waiting = [many.submit(ask, web, "/") for _ in range(4)]
        assert {each.result().status for each in waiting} == {503}

    assert ask(web, "/").status == 200
