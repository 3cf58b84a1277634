"""The same two weeks of releases that the tests of downloads look at."""

from builds.tests.downloads.conftest import weeks

__all__ = ["weeks"]
