"""nginx takes the configuration as docs/operations.md has it made, by envsubst."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from django.conf import settings

from builds.tests import front

# Of nginx itself, and of the groups in the template's own expressions.
LOWERCASE = re.compile(r"\$\{?[a-z0-9_]+")


def test_page_s_command_fills_in_every_name_and_nothing_else(tmp_path: Path) -> None:
    page = (settings.BASE_DIR / "docs" / "operations.md").read_text()
    found = re.search(r"^(export SERVER_NAME=.*?)  < deploy", page, re.DOTALL | re.MULTILINE)
    assert found is not None
    command = f"{found[1]} < {front.TEMPLATE}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    template = front.TEMPLATE.read_text()
    assert LOWERCASE.findall(done.stdout) == LOWERCASE.findall(template)
    assert re.findall(r"\$\{[A-Z_]+\}", done.stdout) == []
    assert "server_name images.example.org;" in done.stdout


def test_nginx_finds_no_fault_with_it(tmp_path: Path) -> None:
    main, _ = front.configured(tmp_path / "nginx", tmp_path, "http://127.0.0.1:8000", TO_HTTPS=1)
    done = subprocess.run(
        [front.program(), "-t", "-p", tmp_path / "nginx", "-c", main],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr
