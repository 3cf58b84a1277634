"""The two stored releases of the downloads' tests."""

from builds.tests.downloads.conftest import weeks

__all__ = ["weeks"]
