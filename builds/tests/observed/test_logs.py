"""Log lines: for people or as JSON, with the ids of what they are about, and without secrets."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.test import Client

from builds import tasks
from builds.log_ids import about, inherited
from builds.models import Release
from builds.request_id import current_request_id, named
from builds.tests.factories import ChannelFactory, UserFactory
from builds.tests.webs import MakeWeb
from portal import logs
from portal.celery import app as portal_app

SECRETS = {
    "SECRET_KEY": "the-key-of-the-portal-0123456789abcdef",
    "METRICS_TOKEN": "a-token-for-numbers-0123",
    "EMAIL_URL": "submission://robot:mail%2Fpass%2Fword@127.0.0.1:9",
    "OIDC_ISSUER": "https://127.0.0.1:9",
    "OIDC_CLIENT_ID": "portal",
    "OIDC_CLIENT_SECRET": "oidc-client-secret-1",
    "REDIS_URL": "redis://:redis-password-1@127.0.0.1:9/0",
}
HUSH = (
    "the-key-of-the-portal-0123456789abcdef",
    "a-token-for-numbers-0123",
    "mail/pass/word",
    "oidc-client-secret-1",
    "redis-password-1",
    "nip_0123456789abcdefghijklmnopqrstuvwxyz",
)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged as JSON meanwhile."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("builds")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_names_request_build_and_release(written: io.StringIO) -> None:
    log = logging.getLogger("builds.test")
    with about(request="abc", release="demo 1", build=7):
        log.warning("it %s", "broke")
    log.warning("elsewhere")
    first, second = lines(written)
    assert first["event"] == "it broke"
    assert first["level"] == "warning"
    assert first["logger"] == "builds.test"
    assert first["time"].endswith("Z")
    assert (first["request"], first["release"], first["build"]) == ("abc", "demo 1", 7)
    assert not {"request", "release", "build"} & set(second)


def test_thread_of_a_build_names_it_too(written: io.StringIO) -> None:
    log = logging.getLogger("builds.test")
    with about(build=7):
        thread = threading.Thread(target=inherited(lambda: log.info("beats")))
    thread.start()
    thread.join()
    assert lines(written)[0]["build"] == 7


def test_traceback_is_part_of_its_line(written: io.StringIO) -> None:
    logging.getLogger("builds.test").error("failed", exc_info=ValueError("two\nlines"))
    (line,) = lines(written)
    assert "ValueError: two" in line["exception"]


def test_rows_keep_the_request_that_led_to_them(db: None) -> None:
    channel = ChannelFactory(systems=["x86_64-linux"])
    with named("from-a-browser"):
        release = Release.objects.create(channel=channel, system="x86_64-linux", trigger="admin")
        build = release.builds.create(variant="netboot", attribute="a")
    assert (release.request, build.request) == ("from-a-browser", "from-a-browser")
    other = Release.objects.create(channel=channel, system="aarch64-linux", trigger="schedule")
    assert other.request == ""


def test_trigger_hands_its_request_to_the_release(client: Client, db: None) -> None:
    channel = ChannelFactory(name="demo", systems=["x86_64-linux"])
    client.force_login(UserFactory(admin=True))
    answer = client.post("/channels/demo/trigger", {"system": "x86_64-linux", "confirmed": "yes"})
    release = channel.releases.first()
    assert release is not None, answer.content
    assert release.request == answer["X-Request-ID"]


def test_task_goes_on_under_the_id_of_its_request(
    transactional_db: None, redis_url: str, settings: LazySettings
) -> None:
    app = Celery("ids", broker=redis_url)
    app.conf.update(task_ignore_result=True, broker_transport_options={"visibility_timeout": 60})
    seen: list[str] = []
    done = threading.Event()

    @app.task(name="look")
    def look() -> None:
        seen.append(current_request_id())
        done.set()

    with _worker(app):
        app.send_task("look", headers={tasks.REQUEST: "from-a-browser"})
        assert done.wait(20)
    assert seen == ["from-a-browser"]
    assert current_request_id() == ""


@contextlib.contextmanager
def _worker(app: Celery) -> Iterator[None]:
    """A worker in this process, which makes its app the one of every task while it runs."""
    from celery.contrib.testing.worker import start_worker  # noqa: PLC0415

    try:
        with start_worker(app, perform_ping_check=False, pool="solo"):
            yield
    finally:
        portal_app.set_current()
        portal_app.set_default()


@pytest.mark.parametrize("style", logs.FORMATS)
def test_no_line_has_a_secret(style: str) -> None:
    say = (
        "import django, logging; django.setup();"
        "from django.conf import settings as s;"
        "log = logging.getLogger('builds.test');"
        "log.warning('%s %s %s', s.REDIS_URL, s.SECRET_KEY, s.METRICS_TOKEN);"
        "log.warning('%s of %s', s.EMAIL_HOST_PASSWORD, s.OIDC.client_secret);"
        "log.warning('Authorization: Bearer abcdefgh12345678');"
        "log.warning('nip_0123456789abcdefghijklmnopqrstuvwxyz');"
        "log.warning('https://ann:pa55word@example.org/hook');"
        "log.error('broke', exc_info=ValueError(s.REDIS_URL))"
    )
    environment = os.environ | SECRETS | {"LOG_FORMAT": style}
    environment["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    done = subprocess.run(
        [sys.executable, "-c", say],
        env=environment,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count(logs.HIDDEN) >= 9
    for secret in (*HUSH, "abcdefgh12345678", "pa55word", "mail%2Fpass"):
        assert secret not in done.stderr
    if style == "json":
        assert all(json.loads(line)["event"] for line in done.stderr.splitlines())
    else:
        assert "WARNING builds.test: " in done.stderr


def test_unknown_format_stops_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env=os.environ | {"LOG_FORMAT": "xml"},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "portal: setting LOG_FORMAT: wants one of lines, json, not 'xml'" in done.stderr


def test_request_id_is_taken_from_a_front_server_only(
    client: Client, db: None, settings: LazySettings
) -> None:
    given = {"X-Request-ID": "0123456789abcdef0123456789abcdef"}
    assert client.get("/healthz", headers=given)["X-Request-ID"] != given["X-Request-ID"]
    settings.TRUSTED_PROXIES = 1
    assert client.get("/healthz", headers=given)["X-Request-ID"] == given["X-Request-ID"]
    forged = {"X-Request-ID": 'x" injected="yes'}
    assert len(client.get("/healthz", headers=forged)["X-Request-ID"]) == 32


def test_access_line_has_no_query_and_no_address(make_web: MakeWeb, tmp_path: Path) -> None:
    web = make_web(ACCESS_LOG="true")
    path = "/releases/download/x/y?token=hush-hush"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{web.url}{path}", timeout=20)
    with refused.value as answer:
        request = answer.headers["X-Request-ID"]
    log = tmp_path / f"web-{urlsplit(web.url).port}.log"
    deadline = time.monotonic() + 10
    while request not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    line = next(line for line in log.read_text().splitlines() if request in line)
    assert "portal.access: GET /releases/download/x/y 404 " in line
    assert "hush-hush" not in line
    assert "127.0.0.1" not in line
