"""Hydra's addresses of the latest build of a job; a job is `<variant>.<system>` of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect

from builds.boot.addresses import base_url, immutable_url
from builds.builders.products import ROLES
from builds.choices import BuildStatus, Role
from builds.feeds.answers import for_programs, json_answer, missing, no_channel
from builds.models import Artifact, Build, Channel, Head, Target

PROJECT = "nixos-images"
MOST = 1000
_STATUS = {
    BuildStatus.SUCCEEDED: 0,
    BuildStatus.FAILED: 1,
    BuildStatus.LOST: 3,
    BuildStatus.CANCELLED: 4,
}
"""What Hydra calls these: success, failed, aborted, cancelled."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The build of the channel's present release that a job names, and its files in order."""

    build: Build
    products: tuple[Artifact, ...]


@for_programs
def latest(request: HttpRequest, channel: str, job: str) -> HttpResponseBase:
    """The build itself: its page, or its record for who asks for JSON."""
    found = _latest(channel, job)
    if not isinstance(found, Latest):
        return found
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return json_answer(request, _shape(found), headers={"Vary": "Accept"})
    return redirect(found.build)


@for_programs
def by_type(
    request: HttpRequest, channel: str, job: str, kind: str, subtype: str
) -> HttpResponseBase:
    """To the first file of a type, such as file/iso or file/kernel."""
    found = _latest(channel, job)
    if not isinstance(found, Latest):
        return found
    for product in found.products:
        if kind == "file" and ROLES.get(subtype) == product.role:
            return _to(request, product)
    known = ", ".join(dict.fromkeys(f"file/{product.role}" for product in found.products))
    return missing(f"{job} of {channel} has no product {kind}/{subtype}. Products: {known}.")


@for_programs
def by_number(
    request: HttpRequest, channel: str, job: str, number: int = 1, name: str = ""
) -> HttpResponseBase:
    """To the file of this number; as in Hydra the name after it is for people."""
    found = _latest(channel, job)
    if not isinstance(found, Latest):
        return found
    if 1 <= number <= len(found.products):
        return _to(request, found.products[number - 1])
    known = ", ".join(f"{n} {each.name}" for n, each in enumerate(found.products, start=1))
    return missing(f"{job} of {channel} has no product {number}. Products: {known}.")


@for_programs
def latest_builds(request: HttpRequest) -> HttpResponseBase:
    """The builds that ended last, the newest first."""
    asked = {name: request.GET.get(name, "") for name in ("project", "jobset", "job", "system")}
    wanted = request.GET.get("nr", "")
    if not (wanted.isascii() and wanted.isdigit()):
        return missing("How many? nr=10 wants a whole number.", status=400)
    if asked["project"] not in {"", PROJECT}:
        return json_answer(request, [])
    found = Build.objects.ended().with_release()
    found = found.among(channel=asked["jobset"] or None)
    for system in filter(None, (asked["system"], asked["job"].partition(".")[2])):
        found = found.among(system=system)
    if asked["job"]:
        found = found.filter(variant=asked["job"].partition(".")[0])
    newest = found[: min(int(wanted[:9]), MOST)]
    return json_answer(request, [_brief(build) for build in newest])


@for_programs
def no_such_job(request: HttpRequest, rest: str) -> HttpResponseBase:
    """What is no form of an address that is answered here."""
    forms = "/job/<channel>/<variant>.<system>/latest/download-by-type/file/<type>"
    return missing(
        f"There is no /job/{rest}. Ask as {forms}. Channels: {Channel.objects.in_words()}."
    )


def _latest(channel: str, job: str) -> Latest | HttpResponseBase:
    """What a job names; the answer that says why not where there is nothing."""
    variant, _, system = job.partition(".")
    head = Head.objects.of(channel, system)
    if head is not None:
        files = head.release.artifacts.filter(variant=variant)
        build = head.release.builds.succeeded().with_release().filter(variant=variant).first()
        if build is not None:
            return Latest(build, tuple(sorted(files, key=_place)))
    if not Channel.objects.filter(name=channel).exists():
        return no_channel(channel)
    targets = Target.objects.filter(channel__name=channel)
    known = ", ".join(f"{target.variant}.{target.system}" for target in targets) or "none"
    return missing(f"{channel} has no published {job}. Jobs: {known}.")


def _place(artifact: Artifact) -> tuple[int, str]:
    return list(Role).index(Role(artifact.role)), artifact.name


def _to(request: HttpRequest, artifact: Artifact) -> HttpResponseBase:
    """Lead to the file of this very release; where `latest` leads will change."""
    response = HttpResponseRedirect(immutable_url(base_url(request), artifact))
    response["Cache-Control"] = "no-cache"
    response["Access-Control-Allow-Origin"] = "*"
    return response


def _shape(latest: Latest) -> dict[str, Any]:
    build = latest.build
    products = {
        str(number): {
            "type": "file",
            "subtype": artifact.role,
            "name": artifact.name,
            "path": f"{build.store_path}/{artifact.name}",
            "defaultpath": "",
            "filesize": artifact.size,
            "sha256hash": artifact.sha256,
        }
        for number, artifact in enumerate(latest.products, start=1)
    }
    return _brief(build) | {
        "starttime": _seconds(build.started_at),
        "stoptime": _seconds(build.finished_at),
        "drvpath": build.derivation,
        "releasename": build.release.version,
        "buildoutputs": {"out": {"path": build.store_path}},
        "buildproducts": products,
    }


def _brief(build: Build) -> dict[str, Any]:
    return {
        "id": build.pk,
        "project": PROJECT,
        "jobset": build.release.channel.name,
        "job": f"{build.variant}.{build.release.system}",
        "system": build.release.system,
        "nixname": build.store_path.rpartition("/")[2].partition("-")[2] or build.variant,
        "finished": 1,
        "buildstatus": _STATUS[BuildStatus(build.status)],
        "timestamp": _seconds(build.queued_at),
    }


def _seconds(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None
