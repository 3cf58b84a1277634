"""The signer in the process that asks, for tests: the same code behind the same messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.utils import timezone

from builds.signer.service import Service
from builds.signing import Keyring, wire


class LocalSigner:
    """See builds.signing.door.Signer; `keys` is the folder of the keys."""

    def __init__(self, keys: str) -> None:
        self._service = Service(Keyring(Path(keys)))

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """See Signer."""
        asked = wire.parse(json.dumps(question).encode())
        answer = self._service.answer(asked, at=timezone.now())
        return wire.parse(json.dumps(answer).encode())
