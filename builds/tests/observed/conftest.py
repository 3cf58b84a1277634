"""Numbers that are read anew in each test."""

from __future__ import annotations

import pytest

from builds.metrics import collectors


@pytest.fixture(autouse=True)
def _fresh_numbers() -> None:
    for part in collectors.PARTS.values():
        part.forget()
