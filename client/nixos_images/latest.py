"""What there is: the channels, and the latest release of each."""

from __future__ import annotations

from typing import Any

from nixos_images import web
from nixos_images.config import Config
from nixos_images.failures import Failure, NotThere
from nixos_images.records import SYSTEMS, Release, release_of

API = "/api/v1/"


def latest_url(config: Config, channel: str, system: str) -> str:
    """The address of the record."""
    return f"{config.url}{API}latest/{web.quoted(channel)}/{web.quoted(system)}/"


def latest(config: Config, channel: str, system: str) -> Release:
    """The latest release; raises NotThere with what there is."""
    return release_of(web.record(latest_url(config, channel, system)), channel, system)


def channels(config: Config) -> list[dict[str, Any]]:
    """All channels, each with its name and what else the portal says of it."""
    said = web.record(f"{config.url}{API}channels/")
    found = said if isinstance(said, list) else said.get("items", said.get("channels"))
    try:
        return [dict(channel, name=str(channel["name"])) for channel in found]
    except (KeyError, TypeError, ValueError) as error:
        raise Failure(f"the portal's channels can't be read: {error!r}") from None


def newest(config: Config, channel: str, systems: tuple[str, ...] = SYSTEMS) -> list[Release]:
    """The latest release of a channel on each system that has one."""
    found = []
    for system in systems:
        try:
            found.append(latest(config, channel, system))
        except NotThere:  # noqa: PERF203 - each try is a request
            continue
    return found
