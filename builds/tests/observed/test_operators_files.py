"""The dashboard, the alerts and the docs speak of the numbers that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from prometheus_client.parser import text_string_to_metric_families

from builds.tests.factories import ReleaseFactory

FOLDER = settings.BASE_DIR / "deploy" / "observability"
DOCS = settings.BASE_DIR / "docs" / "observability.md"
NAME = re.compile(r"\b(?:portal|process)_[a-z0-9_]+")
ENDINGS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}

pytestmark = pytest.mark.django_db


@pytest.fixture
def families(client: Client) -> dict[str, str]:
    """The kind of every family, by its name, of a portal that has published and ticked."""
    ReleaseFactory(published=True)
    PeriodicTask.objects.create(
        name="tick",
        interval=IntervalSchedule.objects.create(every=1, period="minutes"),
        last_run_at=timezone.now(),
    )
    text = client.get("/metrics").content.decode()
    return {family.name: family.type for family in text_string_to_metric_families(text)}


@pytest.fixture
def series(families: dict[str, str]) -> set[str]:
    """The names that an expression may use."""
    return {name + end for name, kind in families.items() for end in ENDINGS[kind]}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with where it stands."""
    board = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for rule in rules():
        yield f"alert {rule['alert']}", rule["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_expression_names_numbers_that_there_are(series: set[str]) -> None:
    found = dict(expressions())
    assert len(found) > 50
    unknown = {where: set(NAME.findall(expr)) - series for where, expr in found.items()}
    assert {where: names for where, names in unknown.items() if names} == {}


def test_every_number_is_shown_or_warned_of(families: dict[str, str]) -> None:
    used = {name for _, expr in expressions() for name in NAME.findall(expr)}
    stems = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in used}
    left_out = {
        "process_max_fds",
        "process_start_time_seconds",
        "portal_web_processes",
    }
    assert {re.sub(r"_total$", "", name) for name in families} - stems - used == left_out


def test_docs_describe_every_number_and_no_other(series: set[str]) -> None:
    told = set(re.findall(r"`((?:portal|process)_[a-z0-9_]+)`", DOCS.read_text()))
    whole = {re.sub(r"_(bucket|count|sum)$", "", name) for name in series}
    plain = {name for name in series if f"{name}_bucket" not in series}
    known = {name for name in plain if not name.endswith(("_bucket", "_count", "_sum"))}
    histograms = {name.removesuffix("_bucket") for name in series if name.endswith("_bucket")}
    assert told == known | histograms
    assert told <= whole


def test_docs_say_what_to_do_about_every_alert() -> None:
    text = DOCS.read_text()
    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in text] == []


def test_rules_fire_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    for words in (
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
        ("check", "config", "prometheus.yml"),
    ):
        done = subprocess.run(
            ["promtool", *words], cwd=FOLDER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_is_seen_to_fire() -> None:
    tests = (FOLDER / "rules_test.yml").read_text()
    assert [rule["alert"] for rule in rules() if f'alertname="{rule["alert"]}"' not in tests] == []


def test_expressions_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    made = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, (where, expr) in enumerate(expressions())
        if where.startswith("panel")
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": made}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
