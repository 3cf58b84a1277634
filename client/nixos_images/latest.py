"""What there is: the channels, and the latest release of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nixos_images import web
from nixos_images.config import Config
from nixos_images.failures import Failure
from nixos_images.records import Release, release_of

API = "/api/v1/"


@dataclass(frozen=True)
class Latest:
    """What is the latest on a system; None where nothing is published yet."""

    system: str
    version: str | None
    published_at: str | None


@dataclass(frozen=True)
class Channel:
    """One channel, and what it is built for."""

    name: str
    title: str
    systems: tuple[Latest, ...]


def latest_url(config: Config, channel: str, system: str) -> str:
    """The address of the record."""
    return f"{config.url}{API}latest/{web.quoted(channel)}/{web.quoted(system)}/"


def latest(config: Config, channel: str, system: str) -> Release:
    """The latest release; raises NotThere with what there is."""
    return release_of(web.record(latest_url(config, channel, system)), channel, system)


def channels(config: Config) -> list[Channel]:
    """All channels, each with the latest version on each system that it is built for."""
    try:
        said = web.record(f"{config.url}{API}channels/")["channels"]
        return [_channel(each) for each in said]
    except (KeyError, TypeError, AttributeError) as error:
        raise Failure(f"the portal's channels can't be read: {error!r}") from None


def _channel(said: Any) -> Channel:
    systems = [
        Latest(str(each["system"]), each.get("latest_version"), each.get("latest_published_at"))
        for each in said["systems"]
    ]
    return Channel(str(said["name"]), str(said.get("title", "")), tuple(systems))
