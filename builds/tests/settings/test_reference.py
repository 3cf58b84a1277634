"""docs/settings.md names what the code reads, no more and no less, with the defaults it has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

# Read the settings as a portal does, with every branch that reads more, and note what was asked.
READ = """
import json, os, sys

class Noting(dict):
    asked = set()
    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)
    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)
    def __contains__(self, name):
        self.asked.add(name)
        return super().__contains__(name)

os.environ = Noting(os.environ)
from portal import settings
numbers = {n: v for n, v in vars(settings).items() if n.isupper() and type(v) is int}
print(json.dumps({"asked": sorted(Noting.asked), "numbers": numbers}))
"""
# Only read before there is a .venv, by the commands of the Makefile.
OF_MAKE = {"PORT", "BIND", "SKIP_SYSTEM"}
# Other names for some that are documented, which boto3 itself reads; and Django's own.
TAKEN_TOO = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DJANGO_SETTINGS_MODULE"}
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| *(.*?) *\| (.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    """The defaults that the page tells, by name."""
    page = (settings.BASE_DIR / "docs" / "settings.md").read_text()
    return {name: default for name, default, _ in ROW.findall(page)}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Names that were asked for by the portal, and settings that are whole numbers."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "OIDC_ISSUER": "https://issuer.example.org",
        "OIDC_CLIENT_ID": "portal",
        "OIDC_CLIENT_SECRET": "secret",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def named_in_code() -> set[str]:
    """Words in capitals that portal/ has in quotes: libraries ask for names of their own."""
    code = "".join(path.read_text() for path in Path(settings.BASE_DIR, "portal").glob("*.py"))
    return set(re.findall(r'"([A-Z][A-Z0-9_]+)"', code))


def test_page_names_every_setting_and_nothing_else(rows: dict[str, str], read: Any) -> None:
    asked = set(read["asked"]) & named_in_code() - TAKEN_TOO
    assert len(asked) > 60
    assert sorted(asked - rows.keys()) == [], "read, and not on the page"
    assert sorted(rows.keys() - asked - OF_MAKE) == [], "on the page, and not read"


def test_page_tells_the_numbers_that_are_the_defaults(rows: dict[str, str], read: Any) -> None:
    told = {name: default.strip("`") for name, default in rows.items() if name in read["numbers"]}
    assert len(told) > 20
    assert told == {name: str(read["numbers"][name]) for name in told}
