"""A log sink that remembers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from builds.builders.base import Progress
from builds.choices import Stage


@dataclass
class Memory:
    lines: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    progresses: list[Progress] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)

    def line(self, text: str) -> None:
        self.lines.append(text)
        self.times.setdefault(text, time.monotonic())

    def extend(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.line(text)

    def progress(self, progress: Progress) -> None:
        self.progresses.append(progress)

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
