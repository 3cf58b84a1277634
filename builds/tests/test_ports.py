"""No port is given to two programs, though neither listens yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from builds.tests import ports

ASK = """
from builds.tests import ports
ports.PORTS = (20000, 20040)
print(*(ports.free_port() for _ in range(15)))
"""


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PORTS", (20000, 20040))

    ours = [ports.free_port() for _ in range(15)]
    said = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True)
    theirs = [int(port) for port in said.stdout.split()]

    assert len({*ours, *theirs}) == 30
