"""Signs of life beyond the marker on the console."""

from __future__ import annotations

from collections.abc import Callable

from builds.emulator.machine import Forward
from builds.emulator.ssh import banner
from builds.emulator.watch import Watched, nothing_more
from builds.pipeline.checks.subject import Subject

SSH = Forward(0, 22)


def signs(subject: Subject) -> Callable[[Watched], None]:
    """What must come true after the marker, as the channel says."""
    return answers_ssh if subject.release.channel.ssh else nothing_more


def answers_ssh(watched: Watched) -> None:
    """Wait until an ssh server greets; the greeting crosses a forwarded port. BootFailed."""
    port = watched.guest.port(SSH.guest_port)
    watched.until(lambda: banner(port), "an ssh server greeted on port 22")
