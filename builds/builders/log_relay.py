"""Hands a running Nix's log on to a sink, line by line, and keeps its end for an excerpt."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from builds.builders.base import LogSink, Progress
from builds.builders.nix_log import NixLog, strip_escapes
from builds.choices import Stage

LINE_LIMIT = 64 * 1024
_CUT_NOTE = " … (cut here: the line is longer than 64 KiB)"
_KEPT_LINES = 200
_PROGRESS_PAUSE = 0.2


class LogRelay:
    """One build's log on its way to the sink; `log` is what Nix has told."""

    def __init__(self, sink: LogSink) -> None:
        self.log = NixLog()
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._sink = sink
        self._building = False
        self._told = Progress()
        self._told_at = float("-inf")

    @property
    def tail(self) -> list[str]:
        """The last lines, colours stripped."""
        return [strip_escapes(text) for text in self._tail]

    def take(self, raw: Sequence[bytes]) -> None:
        """Take raw lines of Nix's standard error."""
        texts = self.log.read_all(raw)
        if texts:
            self.say(texts)
        self._tell_stage()
        if time.monotonic() - self._told_at >= _PROGRESS_PAUSE:
            self.tell_progress()

    def say(self, texts: list[str]) -> None:
        """Put lines into the log."""
        if max(map(len, texts)) > LINE_LIMIT:
            texts = [_cut(text) for text in texts]
        self._tail.extend(texts[-_KEPT_LINES:])
        self._sink.extend(texts)

    def tell_progress(self) -> None:
        """Tell the newest progress where it has changed; call it once more at the end."""
        progress = self.log.progress
        if progress != self._told:
            self._told, self._told_at = progress, time.monotonic()
            self._sink.progress(progress)

    def _tell_stage(self) -> None:
        if self.log.building and not self._building:
            self._building = True
            self._sink.stage(Stage.BUILD)


def _cut(text: str) -> str:
    return text if len(text) <= LINE_LIMIT else text[:LINE_LIMIT] + _CUT_NOTE
