"""Remembers the newest release that was seen of each channel and system."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nixos_images.config import Config, state_folder
from nixos_images.failures import Failure, TooOld
from nixos_images.records import INSTANT, Release, Timestamp, instant


class Seen:
    """What one portal has shown before."""

    def __init__(self, config: Config) -> None:
        self._path = state_folder() / f"{config.host}.json"

    def refuse_older(self, release: Release) -> None:
        """Raise TooOld where a newer one was seen; somebody may be serving an old state."""
        seen = self._read().get(_key(release))
        if seen and int(seen["sequence"]) > release.sequence:
            raise TooOld(
                f"the portal offers {release.name} (sequence {release.sequence}), but "
                f"{seen['version']} (sequence {seen['sequence']}) was seen before; where that was "
                "taken back, --allow-older takes this one"
            )

    def refuse_older_timestamp(self, release: Release, timestamp: Timestamp | None) -> None:
        """Raise TooOld where a later one was seen, or one, and now there is none."""
        before = str(self._read().get(_key(release), {}).get("timestamp", ""))
        if before and (timestamp is None or timestamp.made_at < instant(before)):
            now = f"one of {timestamp.made_at:{INSTANT}}" if timestamp else "none"
            raise TooOld(
                f"the portal's timestamp of {before} was seen before, and now it has {now}: it "
                "gives out an old state, or is just being changed; --allow-older takes it"
            )

    def note(
        self, release: Release, timestamp: Timestamp | None = None, *, even_older: bool = False
    ) -> None:
        """Remember a release; an older one than before only where that was asked for."""
        with self._alone():
            known = self._read()
            before = known.get(_key(release))
            if before and int(before["sequence"]) > release.sequence and not even_older:
                return
            known[_key(release)] = {"sequence": release.sequence, "version": release.version}
            if timestamp is not None:
                known[_key(release)]["timestamp"] = f"{timestamp.made_at:{INSTANT}}"
            self._write(known)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise Failure(f"what was seen before can't be read in {self._path}: {error}") from None

    def _write(self, known: dict[str, Any]) -> None:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".seen-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1, sort_keys=True)
        Path(name).replace(self._path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let two commands at once lose nothing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _key(release: Release) -> str:
    return f"{release.channel}/{release.system}"
