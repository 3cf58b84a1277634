"""docs/THREATS.md names a test for each threat, and each of them exists."""

from __future__ import annotations

import ast
import re

from django.conf import settings

THREATS = settings.BASE_DIR / "docs" / "THREATS.md"
_NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


def rows() -> list[list[str]]:
    """The cells of every row of its tables, without their heads."""
    lines = (line for line in THREATS.read_text().splitlines() if line.startswith("|"))
    cells = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    return [row for row in cells if row[0] not in {"asset", "---"}]


def test_every_threat_names_asset_path_control_and_tests_that_exist() -> None:
    found = rows()
    assert len(found) > 30
    for row in found:
        assert len(row) == 4, row
        assert all(row), row
        named = _NAMED.findall(row[3])
        assert named, f"no test: {row}"
        for path, test in named:
            file = settings.BASE_DIR / path
            assert file.is_file(), path
            functions = {
                each.name
                for each in ast.parse(file.read_text()).body
                if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
            }
            assert test in functions, f"{path} has no {test or 'test that is named'}"
