"""A part that is measured again takes the place of its table, and leaves the others."""

from __future__ import annotations

from bench import production
from bench.report import BEGIN, END, TITLES, kept
from bench.turns import Row
from deploy.guards import ROOT


def test_part_takes_its_place_and_leaves_the_others() -> None:
    page = f"# Page\n\n{BEGIN}\n\n### {TITLES['soak']}\n\nold soak\n\n{END}\n\nLater.\n"

    page = kept(page, {"small": [Row("a build", "1 s", "")]}, "Measured now.")
    page = kept(page, {"small": [Row("a build", "2 s", "")]}, "Measured later.")

    assert "| a build | 2 s |" in page
    assert "1 s" not in page
    assert "Measured now" not in page
    assert page.index("Measured later.") < page.index("old soak"), "in the order of the parts"
    assert page.startswith("# Page\n")
    assert page.endswith("Later.\n")


def test_page_that_is_kept_has_no_table_without_a_part() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert kept(page, {}, "") == page


def test_production_is_what_the_units_start() -> None:
    web, build = production.unit("web"), production.unit("build@")
    assert web[1:5] == ("-m", "gunicorn", "--config", "deploy/gunicorn_settings.py")
    assert "--threads" not in web, "the threads are those of the settings"
    assert build[:3] == ("nice", "-n", "5")
    assert {"build.x86_64-linux", "build@%h"} <= set(build)
    given = production.settings("postgres://here", "redis://here")
    assert given["X_ACCEL_REDIRECT"] == "true"
    assert given["DATABASE_URL"] == "postgres://here"
    assert not any(name.startswith("AWS_") for name in given), "files lie in a folder"
