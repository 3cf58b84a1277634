"""While Redis is away nobody guesses passwords, and everybody downloads."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.cache import caches
from django.test import Client

from builds import limits
from builds.tests.accounts.conftest import PASSWORD, person
from builds.tests.conftest import _wait_for
from builds.tests.factories import ReleaseFactory
from builds.tests.tokens.conftest import ask, demo, new_token, owner
from deploy.embedded_redis import program

pytestmark = pytest.mark.django_db
FAR = "93.184.215.14"
NEAR = "192.168.1.7"
FILE = "/releases/download/demo/1.0/initrd-x86_64-linux"


@pytest.fixture
def valkey(tmp_path: Path, settings: LazySettings) -> Iterator[subprocess.Popen[bytes]]:
    """A server of this test's own, for counts and limits, which the test stops."""
    socket, log = tmp_path / "valkey.sock", tmp_path / "valkey.log"
    command = [program(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with log.open("wb") as file:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=file, stderr=file)
    _wait_for(socket, log)
    backend = "django.core.cache.backends.redis.RedisCache"
    kept, settings.CACHES = (
        settings.CACHES,
        {"default": {"BACKEND": backend, "LOCATION": f"unix://{socket}"}},
    )
    settings.REDIS_URL = f"redis+socket://{socket}"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    limits.buckets.cache_clear()
    yield server
    for each in caches.all():
        each.close()
    settings.CACHES = kept
    server.kill()
    server.wait()


def fetched(client: Client, address: str = FAR, **headers: str) -> int:
    """The status of a download, read to its end."""
    with closing(client.get(FILE, REMOTE_ADDR=address, headers=headers)) as response:
        return response.status_code


def signs_in(name: str) -> int:
    return Client().post("/accounts/login/", {"login": name, "password": PASSWORD}).status_code


def test_login_is_closed_and_downloads_and_tokens_stay_open(
    valkey: subprocess.Popen[bytes], settings: LazySettings, client: Client
) -> None:
    settings.DOWNLOAD_RATE = 3
    ReleaseFactory(channel=demo(), published=True, stored=True, version="1.0")
    person("ann")
    text = new_token(of=owner("bob"))[1]
    assert [fetched(client) for _ in range(4)] == [200, 200, 200, 429]
    assert signs_in("ann") == 302

    valkey.kill()
    valkey.wait()

    refused = Client().post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert refused.status_code == 503
    assert "Redis does not answer" in refused.content.decode()
    assert "sessionid" not in refused.cookies
    assert signs_in("nobody") == 503, "who does not exist is told the same"
    assert [fetched(client) for _ in range(9)] == [200] * 9
    assert ask(text, "releases/", {"channel": "demo"}).status_code == 202


def test_address_that_fetches_too_much_is_told_when_to_come_again(
    valkey: subprocess.Popen[bytes], settings: LazySettings, client: Client
) -> None:
    settings.DOWNLOAD_RATE = 2
    ReleaseFactory(channel__name="demo", published=True, stored=True, version="1.0")
    assert [fetched(client) for _ in range(2)] == [200, 200]
    refused = client.get(FILE, REMOTE_ADDR=FAR)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 30
    assert refused["Content-Type"] == "text/plain; charset=utf-8"
    assert fetched(client, "1.1.1.1") == 200, "another address"
    assert [fetched(client, NEAR) for _ in range(4)] == [200] * 4, "a rack boots at once"
    # A front server that nobody has counted is everybody: it is not held back.
    passed = {"X-Forwarded-For": "8.8.8.8"}
    assert [fetched(client, **passed) for _ in range(4)] == [200] * 4
    settings.TRUSTED_PROXIES = settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert [fetched(client, **passed) for _ in range(3)] == [200, 200, 429]
