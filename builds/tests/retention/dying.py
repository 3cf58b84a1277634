"""A process that dies at its n-th write, to the database or to the storage, or at a point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from builds import points
from builds.storage import FolderStorage

WRITES = ("UPDATE", "INSERT", "DELETE")


class Killed(BaseException):
    """Stands for kill -9: nothing in the code may catch it."""


class Life:
    """How many writes are left; None: as many as one likes."""

    left: int | None = None

    @classmethod
    def write(cls) -> None:
        """Use up one write, or die before it."""
        if cls.left is None:
            return
        if not cls.left:
            raise Killed
        cls.left -= 1


class DyingFolder(FolderStorage):
    """A folder whose process may die before any write."""

    def replace(self, key: str, data: bytes) -> None:
        """See ArtifactStorage."""
        Life.write()
        super().replace(key, data)

    def delete(self, key: str) -> None:
        """See ArtifactStorage."""
        Life.write()
        super().delete(key)


@contextmanager
def life_of(writes: int) -> Iterator[None]:
    """Run a block that ends, wherever it is, before the write after so many."""

    def execute(run: object, sql: str, *args: object) -> object:
        if sql.startswith(WRITES):
            Life.write()
        return run(sql, *args)  # type: ignore[operator]

    Life.left = writes
    try:
        with connection.execute_wrapper(execute):
            yield
    except Killed:
        pass
    finally:
        Life.left = None


@contextmanager
def death_at(point: str) -> Iterator[None]:
    """Run a block that ends where it first comes to a point; it must come there."""

    def visit(name: str) -> None:
        if name == point:
            points.visit(None)
            raise Killed

    points.visit(visit)
    try:
        yield
    except Killed:
        return
    finally:
        points.visit(None)
    raise AssertionError(f"nothing came to {point!r}")
