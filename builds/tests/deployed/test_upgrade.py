"""Migrations come in two steps: the release before goes on writing until the new one is there."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader

from builds.tests.deployed.upgrade import faults

# Those up to this number are from before any portal was upgraded in the open.
BEFORE_THE_RULE = 20


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def test_no_migration_breaks_the_release_before(loader: MigrationLoader) -> None:
    found = {}
    for app, name in sorted(loader.graph.nodes):
        if app == "builds" and int(name[:4]) > BEFORE_THE_RULE:
            state = loader.project_state((app, name), at_end=False)
            found[name] = list(faults(loader.graph.nodes[app, name], state))
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def made_of(*steps: Any, **marks: Any) -> Migration:
    migration = Migration("9999_try", "builds")
    for name, value in {"operations": list(steps), **marks}.items():
        setattr(migration, name, value)
    return migration


REQUIRED: Any = models.IntegerField(default=0)
UNSAFE = [
    operations.RemoveField("release", "reason"),
    operations.RenameField("release", "reason", "why"),
    operations.DeleteModel("Damage"),
    operations.RenameModel("Damage", "Harm"),
    operations.AddField("release", "height", REQUIRED),
    operations.AlterField("release", "sequence", models.PositiveIntegerField()),
    operations.AddConstraint(
        "release", models.CheckConstraint(name="x", condition=models.Q(sequence__gt=0))
    ),
]
SAFE = [
    operations.AddField("release", "height", models.IntegerField(null=True)),
    operations.AddField("release", "height", models.IntegerField(db_default=0)),
    operations.AddIndex("release", models.Index(fields=["reason"], name="by_reason")),
    operations.AlterField("release", "reason", models.TextField(blank=True)),
]


@pytest.mark.parametrize("step", UNSAFE, ids=lambda step: type(step).__name__)
def test_step_that_the_release_before_cannot_live_with_is_found(
    loader: MigrationLoader, step: Any
) -> None:
    assert len(list(faults(made_of(step), loader.project_state()))) == 1
    assert list(faults(made_of(step, contracts=True), loader.project_state())) == []


@pytest.mark.parametrize("step", SAFE, ids=lambda step: type(step).__name__)
def test_step_that_adds_is_let_through(loader: MigrationLoader, step: Any) -> None:
    assert list(faults(made_of(step), loader.project_state())) == []


def test_new_table_may_demand_what_it_likes(loader: MigrationLoader) -> None:
    table = operations.CreateModel("Tower", [("id", models.BigAutoField(primary_key=True))])
    field = operations.AddField("tower", "height", REQUIRED)
    assert list(faults(made_of(table, field), loader.project_state())) == []
