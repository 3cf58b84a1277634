"""Having a release built, and waiting for what becomes of it."""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

from nixos_images import web
from nixos_images.config import Config, read_token
from nixos_images.failures import EndedBadly, Failure
from nixos_images.watch import Deadline

RELEASES = "/api/v1/releases/"
DRAFT, PUBLISHED = "draft", "published"
ASK_EVERY = 5.0  # seconds


def trigger(config: Config, wish: dict[str, Any]) -> list[dict[str, Any]]:
    """The releases that are in the making now; sent again after a break, it is done once."""
    headers = {**_authorization(config), "Idempotency-Key": f'"{uuid.uuid4()}"'}
    url = config.url + RELEASES
    said = web.record(url, method="POST", body=wish, headers=headers)
    found = said.get("releases", [said]) if isinstance(said, dict) else said
    if not all(isinstance(each, dict) and "status" in each for each in found):
        raise Failure("the portal's answer can't be read")
    return list(found)


def wait(config: Config, releases: list[dict[str, Any]], *, timeout: float) -> list[dict[str, Any]]:
    """The releases as they ended; raises EndedBadly where one was not published."""
    headers, deadline = _authorization(config), Deadline(timeout)
    told: dict[str, str] = {}
    while True:
        releases = [_again(each, headers) for each in releases]
        for each in releases:
            _tell(each, told)
        if all(each["status"] != DRAFT for each in releases):
            break
        deadline.sleep(ASK_EVERY)
    bad = [each for each in releases if each["status"] != PUBLISHED]
    if bad:
        raise EndedBadly("; ".join(f"{name(each)} {each['status']}: {_why(each)}" for each in bad))
    return releases


def name(release: dict[str, Any]) -> str:
    """What people call it."""
    version = release.get("version") or f"draft {release.get('id')}"
    return f"{release.get('channel')} {version} {release.get('system')}"


def _again(release: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """The record read anew; as it was where the portal is away."""
    if release["status"] != DRAFT:
        return release
    try:
        return dict(web.record(release["url"], headers=headers))
    except web.Broken as problem:
        print(f"nixos-images: {problem}; keeps trying", file=sys.stderr)
        time.sleep(1)
        return release


def _tell(release: dict[str, Any], told: dict[str, str]) -> None:
    """Say on standard error what has changed."""
    builds = ", ".join(f"{b['variant']} {b['status']}" for b in release.get("builds", []))
    line = f"{name(release)}: {release['status']}{f' ({builds})' if builds else ''}"
    if told.get(str(release.get("id"))) != line:
        told[str(release.get("id"))] = line
        print(line, file=sys.stderr, flush=True)


def _why(release: dict[str, Any]) -> str:
    return str(release.get("reason") or "see its page").splitlines()[0]


def _authorization(config: Config) -> dict[str, str]:
    return {"Authorization": f"Bearer {read_token(config)}"}
