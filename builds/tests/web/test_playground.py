"""`manage.py playground`."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from builds.models import Release


def test_playground_wants_an_empty_database(db: None) -> None:
    call_command("playground", channels=1, releases=13, verbosity=0)
    assert Release.objects.count() == 26
    with pytest.raises(CommandError, match="needs an empty one"):
        call_command("playground", channels=1, releases=13)
