"""`manage.py signer`: the process that holds the keys; `make run` starts it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from builds.signer.server import Server
from builds.signer.service import Service
from builds.signing import Keyring


class Command(BaseCommand):
    """Answers on SIGNER_SOCKET with the keys in SIGNER_KEYS, until it is stopped."""

    help = "Sign releases for the workers, which never see the keys."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        service = Service(Keyring(Path(settings.SIGNER_KEYS)))
        with Server(Path(settings.SIGNER_SOCKET), service) as server:

            def stop(*_: object) -> None:
                threading.Thread(target=server.shutdown).start()

            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
            self.stdout.write(f"signer: listens at {settings.SIGNER_SOCKET}")
            self.stdout.flush()
            server.serve_forever(poll_interval=0.2)
