"""`manage.py reconcile`: finds what was lost and moves it on, as the minutely tick does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from builds import tasks
from builds.models import Release


class Command(BaseCommand):
    """Ends what nobody works on any more, and hands on what waits; safe at any time."""

    help = "Find builds and checks that were lost, and move every draft on."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Reconcile once."""
        tasks.reconcile()
        self.stdout.write(f"{Release.objects.drafts().count()} releases are in the making")
