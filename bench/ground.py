"""A folder of its own and an environment for what is measured; gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ground(**settings: str) -> Iterator[Path]:
    """Django with an empty database, below the system's temporary folder; yields the folder.

    A program that is asked to end ends those that it has started, too.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATA_DIR": str(folder / "data"),
        "NIX_OFFLINE": "true",
        **settings,
    }
    import django  # only now does the environment say where

    django.setup()
    from django.core.management import call_command

    try:
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def option(words: list[str], name: str, usual: float) -> float:
    """The number after `--name`."""
    return float(words[words.index(name) + 1]) if name in words else usual
