"""`python -m builds.tests.signing.armed POINT`: the signer, which kills itself at a point."""

from __future__ import annotations

import os
import signal
import sys

import django


def main(wanted: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - only after the set-up

    from builds import points  # noqa: PLC0415

    def die(name: str) -> None:
        if name == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    points.visit(die)
    call_command("signer")


if __name__ == "__main__":
    main(sys.argv[1])
