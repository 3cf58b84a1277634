"""The lines of docs/formats.md, run as they are written there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import resolve

from builds import pipeline
from builds.tests.factories import NOW
from builds.tests.feeds.conftest import Weeks
from builds.tests.webs import MakeWeb

PAGE = (Path(settings.BASE_DIR) / "docs" / "formats.md").read_text()


def lines_of(heading: str) -> str:
    """The indented lines below a heading."""
    [part] = re.findall(rf"^## {heading}\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    return "\n".join(line[4:] for line in part.splitlines() if line.startswith("    "))


@pytest.mark.django_db(transaction=True)
def test_lines_to_try_run_as_pasted(stored_weeks: Weeks, make_web: MakeWeb, tmp_path: Path) -> None:
    pipeline.hash_pieces(at=NOW, rate=None, seconds=60)
    web = make_web()
    lines = lines_of("Lines to try").replace("http://127.0.0.1:8000", web.url)
    assert lines.count("\n") > 15
    folder = tmp_path / "pasted"
    folder.mkdir()
    done = subprocess.run(
        ["sh", "-eu"],
        input=lines,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "initrd-x86_64-linux: OK" in done.stdout
    assert f"{web.url}/nix-community/nixos-images/releases/tag/demo" in done.stdout
    initrd = stored_weeks.artifact("initrd-x86_64-linux")
    assert (folder / initrd.name).stat().st_size == initrd.size


def test_every_address_of_the_table_has_a_route() -> None:
    told = re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE)
    assert len(told) > 12
    for address in told:
        path = re.sub(r"<\w+>", "x", address.partition("?")[0])
        resolve(path.replace("<variant>.<system>", "x.x"))
