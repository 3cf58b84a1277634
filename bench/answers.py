"""Requests a second and p99 of small answers: the portal, nginx, plain Django, FastAPI on Redis.

All give the same bytes to the same load of wrk, in turns; nginx has them as files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import redis
from django.test import override_settings

from bench import stack
from bench.turns import Row, at_least, ratios, told
from builds import pipeline
from builds.choices import System
from builds.tests import front
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.ports import free_port
from deploy.embedded_redis import program

SYSTEM = System.X86_64
PORTAL_URL = "http://images.example.org"  # so that all say the same
PATHS = {
    "latest": f"/api/v1/latest/demo/{SYSTEM}/",
    "the record of a mirror": f"/releases/download/demo/latest-{SYSTEM}.json",
    "the moving iPXE script": f"/releases/download/demo/netboot-{SYSTEM}.ipxe",
    "SHA256SUMS": "/releases/download/demo/SHA256SUMS",
    "the dashboard": "/",
}
HELD_TO = frozenset(PATHS) - {"the dashboard"}
PORTAL, NGINX, FASTAPI = "the portal", "nginx", "FastAPI on Redis"
BEHIND = "the portal behind nginx"
LEAST = {PORTAL: 0.1, BEHIND: 0.9}  # of what nginx does with files
DJANGO, BARE = "a plain Django view", "gunicorn without any framework"
CONNECTIONS = 16
REQUIREMENTS = Path(__file__).with_name("fastapi-requirements.txt")
FILES = """
{user} daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; etag on; default_type application/octet-stream; sendfile on;
  open_file_cache max=100;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; index whole; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk has seen: requests a second, and seconds within which 99 of 100 were answered."""

    rate: float
    p99: float


def answers(folder: Path, rounds: int, seconds: int) -> list[Row]:
    """Each path from each server, in turns."""
    _fill()
    rows: list[Row] = []
    with ExitStack() as opened:
        portal, _ = opened.enter_context(stack.web(folder, PORTAL_URL=PORTAL_URL))
        bodies = {name: _body(portal, path) for name, path in PATHS.items()}
        root = _written(folder / "files", bodies)
        servers = {
            PORTAL: portal,
            BEHIND: opened.enter_context(_behind(folder)),
            NGINX: opened.enter_context(_nginx(folder / "static", root)),
            DJANGO: opened.enter_context(_gunicorn(folder, root, "bench.plain_django")),
            BARE: opened.enter_context(_gunicorn(folder, root, "bench.plain_wsgi")),
        }
        python = _fastapi_python(folder)
        if python is None:
            rows.append(Row("FastAPI on Redis could not be installed", "not measured", ""))
        else:
            servers[FASTAPI] = opened.enter_context(_fastapi(folder, python, bodies))
        for name, path in PATHS.items():
            for server, url in servers.items():
                assert _body(url, path) == bodies[name], (server, path)
            rows += _compared(name, path, servers, rounds, seconds)
    return rows


def _compared(
    name: str, path: str, servers: Mapping[str, str], rounds: int, seconds: int
) -> list[Row]:
    seen: dict[str, list[Load]] = {server: [] for server in servers}
    for number in range(rounds):
        for server in list(servers) if number % 2 == 0 else list(servers)[::-1]:
            load = _load(servers[server] + path, seconds)
            seen[server].append(load)
            print(f"  {name}: {server}: {load.rate:,.0f}/s, p99 {1000 * load.p99:.1f} ms")
    rates = {server: [load.rate for load in loads] for server, loads in seen.items()}
    rows = []
    for server, loads in seen.items():
        late = 1000 * median(load.p99 for load in loads)
        what = f"{name}: {server}, requests a second (p99 {late:.1f} ms)"
        rows.append(Row(what, *told(rates[server], "{:,.0f}".format)))
        if server == NGINX:
            continue
        shares = ratios(rates[server], rates[NGINX])
        least = LEAST.get(server) if name in HELD_TO else None
        meets = at_least(shares, least) if least else ""
        value, spread = told(shares, "{:.3f}".format)
        goal = f"> {least}" if least else ""
        rows.append(Row(f"  of what nginx does: {server}, {name}", value, spread, goal, meets))
    return rows


def _load(url: str, seconds: int) -> Load:
    """What wrk makes of a URL; an answer that is no success ends the measuring."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", said)
    assert rate is not None, said
    assert late is not None, said
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    return Load(float(rate[1]), float(late[1]) * units[late[2]])


@override_settings(X_ACCEL_REDIRECT=True)  # so that nginx finds what it serves by itself
def _fill() -> None:
    """Channels as an ordinary portal has them, with what moves in the storage."""
    for name in ("demo", "nixos-25.11", "nixos-26.05", "nixos-unstable"):
        channel = ChannelFactory(name=name, is_default=name == "demo")
        for system in System:
            ReleaseFactory(channel=channel, system=system, published=True)
        pipeline.write_moving(name)


def _body(url: str, path: str) -> bytes:
    """The bytes of an answer."""
    code, body = stack.fetch(url, path)
    assert code == 200, (url, path, code)
    return body


def _written(root: Path, bodies: Mapping[str, bytes]) -> Path:
    for name, path in PATHS.items():
        place = root / path.lstrip("/")
        place = place / "whole" if path.endswith("/") else place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bodies[name])
    return root


@contextmanager
def _behind(folder: Path) -> Iterator[str]:
    """A portal that has nginx before it, with the file of deploy/nginx."""
    place = folder / "behind"
    place.mkdir()
    usual = {"PORTAL_URL": PORTAL_URL, "X_ACCEL_REDIRECT": "true", "TRUSTED_PROXIES": "1"}
    with (
        stack.web(place, **usual) as (pages, _),
        front.serving(place / "nginx", folder / "data", pages) as server,
    ):
        yield server.url


@contextmanager
def _nginx(folder: Path, root: Path) -> Iterator[str]:
    port = free_port()
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        FILES.format(user=stack.nginx_user(), folder=folder, root=root, port=port)
    )
    command = (stack.nginx_program(), "-p", str(folder), "-c", str(folder / "nginx.conf"))
    with _serving(command, folder / "out", port) as url:
        yield url


@contextmanager
def _gunicorn(folder: Path, root: Path, module: str) -> Iterator[str]:
    """An application of ours, by the same gunicorn with as many processes and threads."""
    port = free_port()
    command = (
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "2"),
        *("--threads", "256", "--bind", f"127.0.0.1:{port}", module),
    )
    with _serving(command, folder / f"{module}.log", port, BENCH_ROOT=str(root)) as url:
        yield url


def _fastapi_python(folder: Path) -> str | None:
    """An interpreter that has FastAPI, in an environment of its own; None where none is had."""
    place = folder / "fastapi"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)]
    return python if subprocess.run(install, check=False).returncode == 0 else None


@contextmanager
def _fastapi(folder: Path, python: str, bodies: Mapping[str, bytes]) -> Iterator[str]:
    port, socket = free_port(), folder / "answers.sock"
    keep = (program(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder)
    command = (
        *(python, "-m", "uvicorn", "--workers", "2", "--port", str(port)),
        *("--no-access-log", "--log-level", "warning", "bench.fastapi_redis:app"),
    )
    with stack.running([str(word) for word in keep], folder / "answers.log"):
        stack.wait(socket.exists)
        with redis.Redis(unix_socket_path=str(socket)) as client:
            for name, path in PATHS.items():
                client.set(path, bodies[name])
        with _serving(command, folder / "fastapi.log", port, BENCH_REDIS=str(socket)) as url:
            yield url


@contextmanager
def _serving(command: tuple[str, ...], log: Path, port: int, **settings: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    with stack.running(command, log, **settings):
        stack.wait(lambda: stack.status(url, "/") == 200)
        yield url
