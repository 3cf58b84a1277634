"""Which steps of a migration the release before can't live with, while both run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED, ManyToManyField

TAKES_AWAY = (
    operations.RemoveField,
    operations.DeleteModel,
    operations.RenameField,
    operations.RenameModel,
    operations.AlterModelTable,
)


def faults(migration: Migration, state: ProjectState) -> Iterator[str]:
    """What in it breaks the code of the release before; nothing where it says `contracts = True`.

    `state` is that before the migration, and is moved on by it.
    """
    made: set[str] = set()
    for operation in migration.operations:
        if isinstance(operation, operations.CreateModel):
            made.add(operation.name.lower())
        elif not getattr(migration, "contracts", False):
            yield from _fault(operation, state, made)
        operation.state_forwards(migration.app_label, state)


def _fault(operation: Operation, state: ProjectState, made: set[str]) -> Iterator[str]:
    model = getattr(operation, "model_name_lower", "")
    if model in made:
        return
    if isinstance(operation, TAKES_AWAY):
        yield f"{operation.describe()}: the release before still uses it"
    elif isinstance(operation, operations.AddField) and _is_demanded(operation.field):
        yield f"{operation.describe()}: the release before writes rows without it"
    elif isinstance(operation, operations.AlterField) and _is_demanded(operation.field):
        before: Any = state.models["builds", model].fields[operation.name]
        if before.null:
            yield f"{operation.describe()}: the release before writes null"
    elif isinstance(operation, operations.AddConstraint):
        yield f"{operation.describe()}: the release before does not keep it"


def _is_demanded(field: Any) -> bool:
    """Whether a row can't be written without it."""
    if isinstance(field, ManyToManyField) or field.null:
        return False
    return bool(field.db_default is NOT_PROVIDED)
