"""Debian's nginx with the configuration of deploy/nginx, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from builds.tests.ports import free_port

TEMPLATE = settings.BASE_DIR / "deploy" / "nginx" / "portal.conf.template"
# The numbers are those of Debian's own nginx.conf.
AROUND = """
daemon off;
worker_processes auto;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/portal.conf;
}}
"""


@dataclass(frozen=True)
class Front:
    """A running front server; `log` has what it sent by itself."""

    url: str
    https_url: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "portal-downloads.log"

    @property
    def errors(self) -> str:
        return (self.folder / "error.log").read_text()

    def forget_errors(self) -> None:
        """Count errors from now on."""
        (self.folder / "error.log").write_text("")


def rendered(names: Mapping[str, object]) -> str:
    """The template with its names replaced, as envsubst does it. Raises KeyError."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: str(names[match[1]]), TEMPLATE.read_text())


def configured(folder: Path, data_dir: Path, portal: str, **names: object) -> tuple[Path, Front]:
    """nginx's configuration in a folder before the portal at a URL; keywords: others' names."""
    folder.mkdir()
    certificate, key = make_certificate(folder)
    http, https = free_port(), free_port()
    given = {
        "PORTAL_UPSTREAM": urlsplit(portal).netloc,
        "DATA_DIR": data_dir,
        "LOG_DIR": folder,
        "BUCKET_ORIGIN": "http://127.0.0.1:9",
        "SERVER_NAME": "images.example.org",
        "HTTP_PORT": http,
        "HTTPS_PORT": https,
        "TO_HTTPS": 0,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        **names,
    }
    (folder / "portal.conf").write_text(rendered(given))
    main = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # pytest's folders are their owner's only
    main.write_text(AROUND.format(folder=folder, user=user))
    return main, Front(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}", folder)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that nobody has signed, and its key."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=images.example.org"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def program() -> str:
    """nginx, which Debian keeps away from users' PATH."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, "nginx is missing; `make test` installs it"
    return found


@contextlib.contextmanager
def serving(folder: Path, data_dir: Path, portal: str, **names: object) -> Iterator[Front]:
    """A front server for the length of the block."""
    main, front = configured(folder, data_dir, portal, **names)
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [program(), "-p", folder, "-c", main], stdout=out, stderr=out, start_new_session=True
        )
    try:
        _wait_for(front, process)
        yield front
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(front: Front, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while not (front.folder / "nginx.pid").exists():
        assert process.poll() is None, (front.folder / "out").read_text()
        assert time.monotonic() < deadline, "nginx did not start"
        time.sleep(0.02)
