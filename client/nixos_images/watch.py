"""Waiting: for a channel's next release, and for the end of a build."""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any

from nixos_images import web
from nixos_images.config import Config
from nixos_images.events import events
from nixos_images.failures import EndedBadly, NotThere, TimedOut
from nixos_images.latest import latest_url
from nixos_images.records import Release, release_of

SILENCE = 60.0  # seconds; the portal says every 15 that it is still there
RECONNECT_AFTER = 3.0
NO_NEWS = 204
GOOD = "succeeded"


class Deadline:
    """So many seconds from now on; 0: for ever."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds if seconds else float("inf")

    def sleep(self, seconds: float) -> None:
        """Wait; raises TimedOut at the end of the time."""
        time.sleep(max(min(seconds, self._until - time.monotonic()), 0))
        if time.monotonic() >= self._until:
            raise TimedOut("it did not come in time")


def watch_release(
    config: Config, channel: str, system: str, *, after: int | None, every: float, timeout: float
) -> Release:
    """The first release with a higher number than `after`, or than the one there is now.

    A portal that is away for a while is waited for.
    """
    url, etag, deadline = latest_url(config, channel, system), "", Deadline(timeout)
    while True:
        try:
            release, etag = _changed(url, etag, channel, system, is_known=after is not None)
        except web.Broken as problem:
            print(f"nixos-images: {problem}; keeps trying", file=sys.stderr)
            release = None
        if release is not None:
            if after is not None and release.sequence > after:
                return release
            after = release.sequence if after is None else after
        deadline.sleep(every * random.uniform(0.9, 1.1))  # noqa: S311 - spreads them  # nosec B311


def _changed(
    url: str, etag: str, channel: str, system: str, *, is_known: bool
) -> tuple[Release | None, str]:
    """The record where it has changed since this ETag; None where it has not, or is not there."""
    headers = {"If-None-Match": etag} if etag else {}
    try:
        with web.ask(url, headers=headers) as answer:
            if answer.status == web.NOT_MODIFIED:
                return None, etag
            said = json.loads(answer.read(web.LARGEST_RECORD))
            return release_of(said, channel, system), answer.headers.get("ETag", "")
    except NotThere:
        if is_known:
            return None, ""
        raise


def watch_build(config: Config, build: int, *, timeout: float) -> None:
    """Print a build's log until its end; raises EndedBadly where it did not succeed."""
    url = f"{config.url}/api/v1/builds/{build}/events"
    last, deadline = "0", Deadline(timeout)
    while True:
        try:
            with web.ask(url, headers=_since(last), timeout=SILENCE) as stream:
                if stream.status == NO_NEWS:
                    return
                for event in events(stream, last):
                    last = event.id
                    status = _tell(event.name, event.data)
                    if status:
                        _judge(build, status)
                        return
            print("nixos-images: the log broke off; connects again", file=sys.stderr)
        except web.Broken as problem:
            print(f"nixos-images: {problem}; connects again", file=sys.stderr)
        except web.BROKEN as problem:
            print(f"nixos-images: the log broke off: {problem}; connects again", file=sys.stderr)
        deadline.sleep(RECONNECT_AFTER)


def _since(last: str) -> dict[str, str]:
    headers = {"Accept": "text/event-stream"}
    return headers | {"Last-Event-ID": last} if last != "0" else headers


def _tell(name: str, data: str) -> str:
    """Print what an event says; the status where it is the end."""
    said: Any = json.loads(data)
    if name == "end":
        return str(said["status"])
    if name == "log":
        for line in said["lines"]:
            print(_plain(line), flush=True)
    return ""


def _plain(line: str | list[list[str]]) -> str:
    """A line's text; its runs without their colours, and nothing that steers a terminal."""
    text = line if isinstance(line, str) else "".join(run[0] for run in line)
    return "".join(char for char in text if char.isprintable() or char == "\t")


def _judge(build: int, status: str) -> None:
    if status != GOOD:
        raise EndedBadly(f"build {build} {status}")
