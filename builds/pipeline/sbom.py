"""The SBOM of a release: CycloneDX 1.6, from what its builds have recorded.

The component of the metadata is the release. Each variant is a component with its files inside,
and depends on what is in it: store paths by name and version, Debian packages. Compositions say
how far the list goes: "unknown" where the image itself gave it, which nobody has checked;
"incomplete" where there is only the build closure (the output's runtime closure, and as
"excluded" the recipes behind it): what an initrd holds is not among it by itself.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from builds.models import Artifact, Build, Release
from builds.pipeline.canonical import canonical, instant, known

MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"
LARGEST = 4 * 1024 * 1024  # bytes: what one portal takes from another as a paper

_RELEASE = "release"
_HOW_FAR = {"image": "unknown", "build": "incomplete", "": "unknown"}

Components = dict[str, dict[str, Any]]


def sbom(release: Release) -> bytes | None:
    """The SBOM; None where nobody recorded what is in the images, or it would be too large.

    Recipes are left out first.
    """
    if not release.is_built_here:
        return None
    found = release.builds.succeeded().select_related("record").order_by("variant", "pk")
    builds = [build for build in found if hasattr(build, "record") and build.record.components]
    if not builds:
        return None
    for with_recipes in (True, False):
        data = _written(release, builds, with_recipes=with_recipes)
        if len(data) <= LARGEST:
            return data
    return None


def _written(release: Release, builds: list[Build], *, with_recipes: bool) -> bytes:
    inside = {build: _inside(build, with_recipes=with_recipes) for build in builds}
    components: Components = {}
    for each in (told for of in inside.values() for told in of):
        there = components.get(each["place"])
        if there is None or there.get("scope") == "excluded":
            components[each["place"]] = _component(each)
    finished = max((build.finished_at for build in builds if build.finished_at), default=None)
    record = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": known({"timestamp": instant(finished), "component": _release(release)}),
        "components": [
            *(_variant(build, release.artifacts.all()) for build in builds),
            *(components[place] for place in sorted(components)),
        ],
        "dependencies": [
            {"ref": _RELEASE, "dependsOn": [_ref(build) for build in builds]},
            *(
                {"ref": _ref(build), "dependsOn": sorted({each["place"] for each in of})}
                for build, of in inside.items()
            ),
        ],
        "compositions": [
            {"aggregate": _HOW_FAR[build.record.closure], "dependencies": [_ref(build)]}
            for build in builds
        ],
    }
    # A name of its own, which is the same whenever the same is written.
    digest = hashlib.sha256(canonical(record)).hexdigest()
    return canonical(
        record | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}"}
    )


def _release(release: Release) -> dict[str, Any]:
    return {
        "type": "operating-system",
        "bom-ref": _RELEASE,
        "name": f"{release.channel.name} {release.system}",
        "version": release.version,
    }


def _inside(build: Build, *, with_recipes: bool) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = build.record.components
    return [each for each in told if with_recipes or not each["built_with"]]


def _ref(build: Build) -> str:
    return f"variant:{build.variant}"


def _variant(build: Build, artifacts: Iterable[Artifact]) -> dict[str, Any]:
    files = sorted(
        (each for each in artifacts if each.build_id == build.pk), key=lambda each: each.name
    )
    return {
        "type": "operating-system",
        "bom-ref": _ref(build),
        "name": build.variant,
        "properties": [
            {"name": "nix:drv_path", "value": build.derivation},
            {"name": "nix:output_path", "value": build.store_path},
            {"name": "closure", "value": build.record.closure},
        ],
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{each.name}",
                "name": each.name,
                "hashes": [{"alg": "SHA-256", "content": each.sha256}],
            }
            for each in files
        ],
    }


def _component(told: dict[str, Any]) -> dict[str, Any]:
    is_deb = told["kind"] == "deb"
    properties = {
        "deb:file" if is_deb else "nix:store_path": told["place"],
        "nix:nar_sha256": told["nar_sha256"],
        "nix:nar_size": told["size"],
    }
    record: dict[str, Any] = {
        "type": "library",
        "bom-ref": told["place"],
        "name": told["name"],
        "scope": "excluded" if told["built_with"] else "required",
        "purl": _deb_url(told) if is_deb else _nix_url(told),
        "properties": [
            {"name": name, "value": str(value)} for name, value in properties.items() if value
        ],
    }
    if told["version"]:
        record["version"] = told["version"]
    if told["sha256"]:
        record["hashes"] = [{"alg": "SHA-256", "content": told["sha256"]}]
    return record


def _deb_url(told: dict[str, Any]) -> str:
    architecture = told["place"].removesuffix(".deb").rpartition("_")[2]
    return f"pkg:deb/debian/{_quoted(told['name'])}{_at(told)}?arch={_quoted(architecture)}"


def _nix_url(told: dict[str, Any]) -> str:
    return f"pkg:nix/{_quoted(told['name'])}{_at(told)}"


def _at(told: dict[str, Any]) -> str:
    return f"@{_quoted(told['version'])}" if told["version"] else ""


def _quoted(word: str) -> str:
    return quote(word, safe="")
