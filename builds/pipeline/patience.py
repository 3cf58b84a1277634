"""Outlasting a database that goes away for a moment in the middle of long work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)
ASK_AGAIN_AFTER = 0.5

Given = TypeVar("Given")


@contextmanager
def riding_out(what: str) -> Iterator[None]:
    """Go on without what the block would write or read; the next time connects anew."""
    try:
        yield
    except AWAY as error:
        logger.warning("%s has to wait for the database: %s", what, error)
        connection.close()


def insist(act: Callable[[], Given], what: str) -> Given:
    """Do it again until the database takes it, as long as a lease may last.

    The act must be one that fails under a lost lease. Raises what the database said last.
    """
    until = time.monotonic() + settings.LEASE_SECONDS
    while True:
        try:
            return act()
        except AWAY as error:
            connection.close()
            if time.monotonic() >= until:
                raise
            logger.warning("%s has to wait for the database: %s", what, error)
            time.sleep(ASK_AGAIN_AFTER)
