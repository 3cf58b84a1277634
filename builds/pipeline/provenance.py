"""Provenance: an in-toto Statement v1 with SLSA v1 provenance, made from a release's rows.

The statement that the signer signs (see builds.signing.dsse) is

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name", "digest": {"sha256"}, "annotations": {"variant", "role"}}],
     "predicateType": "https://slsa.dev/provenance/v1",
     "predicate": {
       "buildDefinition": {
         "buildType": "<portal>/verify/#nix-flake-v1",
         "externalParameters": {"channel", "system", "flake", "overrides": {input: flake ref},
                                "attributes": {variant: attribute}},
         "internalParameters": {"revision", "builds": {variant: {"nix", "sandboxed", "settings"}}},
         "resolvedDependencies": [{"name", "uri", "digest": {"gitCommit", "narSha256"},
                                   "annotations": {"narHash"}}]},
       "runDetails": {
         "builder": {"id": "<portal>", "version": {"nix"}},
         "metadata": {"invocationId", "startedOn", "finishedOn"},
         "byproducts": [{"name": "<variant>.drv", "uri": "nix:/nix/store/…", "annotations"},
                        {"name": "build-….log", "digest": {"sha256"}},
                        {"name": "sbom-….cdx.json", "mediaType", "digest": {"sha256"}}]}}}

`narSha256` is of the NAR of a source tree, in hex: the same hash as `narHash`, which Nix writes in
base64. It claims no SLSA level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.conf import settings

from builds.builders.nix_recipe import nar_sha256
from builds.models import Build, Release
from builds.pipeline import naming
from builds.pipeline.archive import log_name
from builds.pipeline.canonical import canonical, instant, known, public_ref
from builds.pipeline.sbom import MEDIA_TYPE as SBOM_MEDIA_TYPE
from builds.pipeline.sbom import sbom

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
MEDIA_TYPE = "application/vnd.in-toto.provenance+dsse"
BUILD_TYPE = "nix-flake-v1"
# What a portal without PORTAL_URL is called: it has no name that anybody else could look up.
NAMELESS = "urn:nixos-images:portal-without-a-url"


def statement(release: Release) -> bytes | None:
    """The statement about a release; None where nobody here saw how all of it was made."""
    if not release.is_built_here:
        return None
    builds = list(release.builds.succeeded().select_related("record").order_by("variant", "pk"))
    if not builds or any(not hasattr(build, "record") for build in builds):
        return None
    record = {
        "_type": STATEMENT,
        "subject": [
            {
                "name": artifact.name,
                "digest": {"sha256": artifact.sha256},
                "annotations": {"variant": artifact.variant, "role": artifact.role},
            }
            for artifact in sorted(release.artifacts.all(), key=lambda each: each.name)
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": _definition(release, builds),
            "runDetails": _run(release, builds),
        },
    }
    return canonical(record)


def documents_record(release: Release) -> dict[str, Any]:
    """What the manifest says of provenance and SBOM; nothing for a release without them.

    Of the provenance the digest of what is signed inside: its signature may be made again by
    another key.
    """
    found: list[dict[str, Any]] = []
    told, components = statement(release), sbom(release)
    if told is not None:
        name, payload = naming.provenance_name(release.system), hashlib.sha256(told).hexdigest()
        found.append({"name": name, "media_type": MEDIA_TYPE, "payload_sha256": payload})
    if components is not None:
        name, sha256 = naming.sbom_name(release.system), hashlib.sha256(components).hexdigest()
        found.append({"name": name, "media_type": SBOM_MEDIA_TYPE, "sha256": sha256})
    return {"documents": found} if found else {}


def builder_id() -> str:
    """The URI that stands for this portal."""
    return str(settings.PORTAL_URL or NAMELESS)


def build_type() -> str:
    """The URI that says how to read the parameters: a place on the page /verify/."""
    base = settings.PORTAL_URL
    return f"{base}/verify/#{BUILD_TYPE}" if base else f"{NAMELESS}:{BUILD_TYPE}"


def _definition(release: Release, builds: Iterable[Build]) -> dict[str, Any]:
    return {
        "buildType": build_type(),
        "externalParameters": {
            "channel": release.channel.name,
            "system": release.system,
            "flake": public_ref(release.flake),
            "overrides": {name: public_ref(ref) for name, ref in release.overrides.items()},
            "attributes": {build.variant: build.attribute for build in builds},
        },
        "internalParameters": {
            "revision": release.revision,
            "builds": {build.variant: _parameters(build) for build in builds},
        },
        "resolvedDependencies": _dependencies(release, builds),
    }


def _parameters(build: Build) -> dict[str, Any]:
    return {
        "nix": build.builder_version,
        "sandboxed": build.sandboxed,
        "settings": build.record.settings,
    }


def _dependencies(release: Release, builds: Iterable[Build]) -> list[dict[str, Any]]:
    """The flake itself, then each node of its lock once."""
    flake = {"name": "flake", "uri": public_ref(release.flake), "nar_hash": release.nar_hash}
    told = [flake, *(each for build in builds for each in build.record.inputs)]
    found: list[dict[str, Any]] = []
    for each in map(_dependency, told):
        if each not in found:
            found.append(each)
    return found


def _dependency(told: dict[str, str]) -> dict[str, Any]:
    nar_hash, revision = told.get("nar_hash", ""), told.get("revision", "")
    digests = {"gitCommit": revision, "narSha256": nar_sha256(nar_hash)}
    return {
        "name": told["name"],
        "uri": told["uri"],
        "digest": {kind: value for kind, value in digests.items() if value},
        "annotations": {"narHash": nar_hash},
    }


def _run(release: Release, builds: list[Build]) -> dict[str, Any]:
    versions = sorted({build.builder_version for build in builds})
    started = [build.started_at for build in builds if build.started_at]
    finished = [build.finished_at for build in builds if build.finished_at]
    place = f"{release.channel.name}/{release.version}/{release.system}"
    return {
        "builder": {"id": builder_id(), "version": {"nix": ", ".join(versions)}},
        "metadata": known(
            {
                "invocationId": f"{place}#{release.sequence}",
                "startedOn": instant(min(started, default=None)),
                "finishedOn": instant(max(finished, default=None)),
            }
        ),
        "byproducts": [*_byproducts(builds), *_sbom(release)],
    }


def _byproducts(builds: Iterable[Build]) -> Iterable[dict[str, Any]]:
    for build in builds:
        yield {
            "name": f"{build.variant}.drv",
            "uri": f"nix:{build.derivation}",
            "annotations": {"output": build.store_path},
        }
        yield {
            "name": log_name(build).removesuffix(".gz"),
            "mediaType": "text/plain",
            "digest": {"sha256": build.record.log_sha256},
        }


def _sbom(release: Release) -> Iterable[dict[str, Any]]:
    data = sbom(release)
    if data is not None:
        sha256 = hashlib.sha256(data).hexdigest()
        yield {
            "name": naming.sbom_name(release.system),
            "mediaType": SBOM_MEDIA_TYPE,
            "digest": {"sha256": sha256},
        }
