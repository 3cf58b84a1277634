"""The portal's own programs for measuring: Redis, web servers, a worker, a front server."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from builds.tests.ports import free_port
from deploy.guards import ROOT, Address
from deploy.run import LONG, SHORT, Services

NGINX = """
{user} daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream pages {{ server 127.0.0.1:{pages}; keepalive 16; }}
  upstream events {{ server 127.0.0.1:{events}; }}
  proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection "";
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ ^/api/v1/builds/[0-9]+/events$ {{
      proxy_pass http://events; proxy_buffering off; proxy_read_timeout 1h;
    }}
    location / {{ proxy_pass http://pages; }}
  }}
}}
"""


@contextmanager
def running(
    command: Sequence[str], log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program of ours for the length of a with block; killed at its end, for an orderly stop
    waits for those who watch."""
    # So that it ends with us even where we are killed.
    bound = ("setpriv", "--pdeathsig", "TERM", *command)
    with log.open("ab") as file:
        process = subprocess.Popen(
            bound, cwd=ROOT, env=os.environ | environment, stdout=file, stderr=file
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def redis_and_worker(folder: Path) -> Iterator[None]:
    """The embedded Redis and the workers, as `make run` starts them."""
    services = Services(sys.executable, Path(os.environ["DATA_DIR"]), Address("127.0.0.1", 1))
    with (
        running(services.redis().command, folder / "redis.log"),
        running(services.worker("worker", LONG).command, folder / "worker.log"),
        running(services.worker("default", SHORT).command, folder / "default.log"),
    ):
        wait(lambda: b"ready" in (folder / "worker.log").read_bytes() or _worker_is_there())
        yield


@contextmanager
def web(folder: Path, *words: str, **settings: str) -> Iterator[tuple[str, int]]:
    """Web processes; their address, and the process id of their arbiter.

    They are those of `make run`, but for what `words` say to gunicorn.
    """
    port = free_port()
    command = (
        *(sys.executable, "-m", "gunicorn", "--config", str(ROOT / "deploy/gunicorn_settings.py")),
        *(*words, "--bind", f"127.0.0.1:{port}", "portal.wsgi"),
    )
    with running(command, folder / "web.log", **settings) as process:
        url = f"http://127.0.0.1:{port}"
        wait(lambda: status(url, "/healthz") == 200)
        yield url, process.pid


@contextmanager
def nginx(folder: Path, pages: str, events: str) -> Iterator[str]:
    """Debian's nginx before the pages and the process for events; its address."""
    program = nginx_program()
    port = free_port()
    ports = {"pages": urlsplit(pages).port, "events": urlsplit(events).port, "port": port}
    place = folder / "nginx"
    place.mkdir(exist_ok=True)
    words = {"folder": place, "user": nginx_user()}
    (place / "nginx.conf").write_text(NGINX.format(**words, **ports))
    with running((program, "-p", str(place), "-c", str(place / "nginx.conf")), place / "out"):
        url = f"http://127.0.0.1:{port}"
        wait(lambda: status(url, "/healthz") == 200)
        yield url


def nginx_program() -> str:
    """Debian's nginx, which lies where only root looks."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "nginx is missing; `make bench` installs it"
    return program


def nginx_user() -> str:
    """Who reads the files: started by root it would take an account that can't enter the folder."""
    return "user root;" if os.geteuid() == 0 else ""


def status(url: str, path: str) -> int:
    """What a GET is answered with, 0 where nobody answers."""
    try:
        return fetch(url, path)[0]
    except (OSError, http.client.HTTPException):
        return 0


def fetch(url: str, path: str) -> tuple[int, bytes]:
    """A GET over a connection of its own: code and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _worker_is_there() -> bool:
    from builds.models import Worker

    return Worker.objects.exists()


def wait(is_so: Callable[[], bool]) -> None:
    """Until something is so, a minute at most."""
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until, "a program of the portal did not start"
        time.sleep(0.05)
