"""Who does something: a person, the command line, the schedule, the portal itself."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builds.choices import Trigger

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Actor:
    """A name for the audit trail, and the key of the user's row where there is one."""

    name: str
    user_pk: int | None = None

    @classmethod
    def of(cls, by: User | Actor | None) -> Actor:
        """The actor behind what callers hand over; None is whoever runs this process."""
        if by is None:
            return cls(f"command line as {_os_user()}")
        return by if isinstance(by, Actor) else cls(by.get_username(), by.pk)

    @classmethod
    def behind(cls, why: Trigger, by: User | Actor | None) -> Actor:
        """The actor behind a trigger; nobody in person where the portal itself asks."""
        own = {Trigger.SCHEDULE: SCHEDULE, Trigger.FIRST_START: FIRST_START}
        return cls.of(by or own.get(why))


PORTAL = Actor("the portal")
SCHEDULE = Actor("schedule")
FIRST_START = Actor("first start")


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return f"user {os.getuid()}"
