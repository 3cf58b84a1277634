"""The JSON Schemas, and that what the pipeline writes is as they say, no more and no less."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

from builds.choices import (
    CheckName,
    Origin,
    ReleaseStatus,
    Role,
    System,
    TransferKind,
    Trigger,
    Variant,
    Verdict,
)
from builds.feeds.schemas import NAMES, read
from builds.models import Release, Transfer
from builds.pipeline import documents, keep, naming, withdraw
from builds.storage import artifacts
from builds.tests.factories import (
    NOW,
    ArtifactFactory,
    CheckFactory,
    ReleaseFactory,
    publish_held,
)
from builds.tests.provenance.conftest import PROVENANCE, SBOM, SYSTEM, told_release

pytestmark = pytest.mark.django_db
COMPARISON = {
    "where": "another-worker",
    "builder_version": "nix (Nix) 2.8.0",
    "files": 3,
    "derivations": 0,
    "differences": [
        {
            "name": "initrd-x86_64-linux",
            "offset": 17,
            "size": 18,
            "sha256": "ab" * 32,
            "second_size": None,
            "second_sha256": "",
        }
    ],
}


def sealed(schema: Any) -> Any:
    """The same that allows no key which it does not describe."""
    if isinstance(schema, list):
        return [sealed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: sealed(each) for name, each in schema.items()}
    is_record = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    return inner | {"additionalProperties": False} if is_record else inner


def check(name: str, data: bytes | None) -> dict[str, Any]:
    """The record, if it is as its schema says."""
    assert data is not None
    record: dict[str, Any] = json.loads(data)
    schema = sealed(read(name, f"https://images.example.org/schemas/{name}.json"))
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(record)] == []
    return record


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_published_under_its_own_name(client: Client, name: str) -> None:
    response = client.get(f"/schemas/{name}.json")
    assert response["Content-Type"] == "application/schema+json"
    schema = response.json()
    assert schema["$id"] == f"http://testserver/schemas/{name}.json"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_schema_that_is_not_there_names_those_that_are(client: Client) -> None:
    response = client.get("/schemas/nothing.json")
    assert response.status_code == 404
    assert response.content == b"There is no schema nothing. Schemas: latest, release, releases.\n"


def test_what_is_written_for_a_release_is_as_the_schemas_say() -> None:
    release = ReleaseFactory(channel__name="demo", published=True, stored=True)
    Release.objects.filter(pk=release.pk).update(overrides={"nixpkgs": "github:NixOS/nixpkgs"})
    CheckFactory(release=release, name=CheckName.LEAST_RAM_NETBOOT, passed=True, gates=False)
    CheckFactory(
        release=release,
        name=CheckName.REPRODUCED,
        verdict=Verdict.DIFFERS,
        holds_back=False,
        comparison=COMPARISON | {"kept": ["check-reproduced.1-initrd"]},
    )
    release.artifacts.filter(role=Role.INITRD).update(least_memory=256)
    old = ReleaseFactory(channel=release.channel, published=True)
    withdraw(old, "It does not boot.", by=None, at=NOW)
    keep(release, "A customer boots it.", by=None, at=NOW)

    stored = artifacts().read(release.key(naming.manifest_name(release.system)))
    assert check("release", stored)["artifacts"]
    fresh = Release.objects.with_files().get(pk=release.pk)
    manifest = check("release", documents.manifest(fresh))
    assert [each["comparison"] for each in manifest["checks"] if "comparison" in each] == [
        COMPARISON
    ]
    told = documents.moving_files("demo")
    assert check("latest", told["latest-x86_64-linux.json"])["least_memory_mib"]
    statuses = {each["status"] for each in check("releases", told["releases.json"])["releases"]}
    assert statuses == {"published", "withdrawn"}


@pytest.mark.parametrize("variant", Variant)
def test_manifest_of_every_variant_is_as_the_schema_says(variant: Variant) -> None:
    release = ReleaseFactory(channel__variants=(variant,), published=True)
    ArtifactFactory(release=release, variant=variant, role=Role.BUNDLE, name="another")
    check("release", documents.manifest(Release.objects.with_files().get(pk=release.pk)))


@pytest.mark.parametrize("origin", Origin)
def test_what_was_made_elsewhere_is_as_the_schemas_say(origin: Origin) -> None:
    source = "" if origin == Origin.BUILT else "https://hydra.example.org/eval/1821001"
    release = ReleaseFactory(channel__name="demo", published=True, origin=origin, source=source)
    if origin == Origin.HYDRA:
        release.builds.update(source="https://hydra.example.org/build/307541876")
    Transfer.objects.create(
        release=release,
        kind=TransferKind.FOLLOWED,
        source="https://first.example.org",
        taken_at=NOW,
    )
    fresh = Release.objects.with_files().get(pk=release.pk)
    told = documents.moving_files("demo")
    [line] = check("releases", told["releases.json"])["releases"]
    records = [
        check("release", documents.manifest(fresh)),
        check("latest", told["latest-x86_64-linux.json"]),
        line,
    ]
    made = None if origin == Origin.BUILT else {"kind": origin, "source": source}
    assert [record.get("origin") for record in records] == [made] * 3
    assert line["transfer"]["source"] == "https://first.example.org"


def test_schema_knows_every_word_of_the_closed_sets() -> None:
    manifest = read("release", "")["properties"]
    artifact = manifest["artifacts"]["items"]["properties"]
    verdicts = manifest["checks"]["items"]["properties"]["verdict"]["enum"]
    history = read("releases", "")["properties"]["releases"]["items"]["properties"]
    latest = read("latest", "")["properties"]
    elsewhere = set(Origin) - {Origin.BUILT}
    for words, choices in (
        (manifest["system"]["enum"], System),
        (manifest["trigger"]["enum"], Trigger),
        (artifact["variant"]["enum"], Variant),
        (artifact["role"]["enum"], Role),
        (verdicts, Verdict),
        (history["status"]["enum"], ReleaseStatus.known_to_outside()),
        (history["transfer"]["properties"]["kind"]["enum"], TransferKind),
        *(
            (each["origin"]["properties"]["kind"]["enum"], elsewhere)
            for each in (manifest, latest, history)
        ),
    ):
        assert set(words) == {str(choice) for choice in choices}


def test_schema_refuses_what_is_wrong() -> None:
    release = ReleaseFactory(published=True)
    manifest = json.loads(documents.manifest(Release.objects.with_files().get(pk=release.pk)))
    validator = Draft202012Validator(read("release", "https://example.org/it.json"))
    wrongs: list[dict[str, Any]] = [
        {"format": 2},
        {"sequence": 0},
        {"system": "i686-linux"},
        {"artifacts": [{}]},
    ]
    for wrong in wrongs:
        assert not validator.is_valid(manifest | wrong)
    assert validator.is_valid(manifest | {"of_a_later_day": True})


def test_publish_writes_what_the_schema_says(db: None) -> None:
    release = ReleaseFactory(finished=True, channel__checks=[])
    publish_held(release, NOW)
    assert release.is_published, release.reason
    check("release", artifacts().read(release.key(naming.manifest_name(release.system))))


def test_manifest_names_provenance_and_sbom_as_the_schema_says() -> None:
    release = told_release()
    record = check("release", artifacts().read(release.key(naming.manifest_name(SYSTEM))))
    assert [each["name"] for each in record["documents"]] == [PROVENANCE, SBOM]
