"""What provenance and SBOM say of a release, as other people's libraries read them."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from django.conf import LazySettings
from django.test import Client
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement

from builds.builders.how_made import Input
from builds.models import BuildRecord
from builds.pipeline import provenance
from builds.pipeline.archive import archive_log, log_name
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.downloads.test_downloads import body
from builds.tests.models.rows import build, channel
from builds.tests.pipeline.conftest import MakeChannel, draft_of, make_channel
from builds.tests.pipeline.driver import drive
from builds.tests.provenance.conftest import (
    EMPTY,
    HOW,
    PROVENANCE,
    REVISION,
    SBOM,
    named_in_manifest,
    recorded_release,
    statement_of,
    stored,
    told_release,
)

__all__ = ["make_channel"]

pytestmark = pytest.mark.django_db
HOST = "https://images.example.org"


def check_statement(said: dict[str, object]) -> None:
    """Raises where in-toto's own library does not take it for SLSA provenance."""
    parsed = ParseDict(said, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    assert parsed.predicate_type == "https://slsa.dev/provenance/v1"
    predicate = ParseDict(said["predicate"], provenance_pb2.Provenance())
    assert predicate.build_definition.build_type
    assert predicate.run_details.builder.id
    told = [*predicate.build_definition.resolved_dependencies, *predicate.run_details.byproducts]
    for each in told:
        ResourceDescriptor.copy_from_pb(each).validate()


def check_sbom(data: bytes) -> None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode())
    assert error is None, error


@pytest.mark.django_db(transaction=True)
def test_real_build_tells_how_it_was_made(
    make_channel: MakeChannel, settings: LazySettings
) -> None:
    settings.NIX_OFFLINE = True
    settings.PORTAL_URL = HOST
    release = drive(draft_of(make_channel()))
    assert release.is_published, release.reason

    said = statement_of(release)
    check_statement(said)
    check_sbom(stored(release, SBOM))
    subjects = {each["name"]: each["digest"]["sha256"] for each in said["subject"]}
    assert subjects == dict(release.artifacts.values_list("name", "sha256"))
    definition, run = said["predicate"]["buildDefinition"], said["predicate"]["runDetails"]
    assert definition["externalParameters"]["flake"] == "path:"
    [build] = release.builds.all()
    told = definition["internalParameters"]["builds"]["netboot"]
    assert told["nix"] == build.builder_version
    assert (told["sandboxed"], told["settings"]["sandbox"]) == (build.sandboxed,) * 2
    assert told["settings"]["substituters"] == []
    [flake] = definition["resolvedDependencies"]
    assert flake["annotations"]["narHash"] == release.nar_hash
    assert flake["digest"]["narSha256"][:40] == release.revision
    assert run["builder"]["id"] == HOST
    derivation, log, sbom = run["byproducts"]
    assert derivation["uri"] == f"nix:{build.derivation}"
    archive_log(build)
    packed = artifacts().read(release.key(log_name(build))) or b""
    assert log["digest"]["sha256"] == hashlib.sha256(gzip.decompress(packed)).hexdigest()
    assert sbom["digest"]["sha256"] == hashlib.sha256(stored(release, SBOM)).hexdigest()


def test_inputs_are_named_with_revision_and_hash() -> None:
    release = told_release()
    said = statement_of(release)
    check_statement(said)
    flake, nixpkgs = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert flake["name"] == "flake"
    assert nixpkgs == {
        "name": "nixpkgs",
        "uri": f"github:NixOS/nixpkgs/{REVISION}",
        "digest": {"gitCommit": REVISION, "narSha256": hashlib.sha256(b"").hexdigest()},
        "annotations": {"narHash": EMPTY},
    }


def test_inputs_of_every_build_are_named_once() -> None:
    release = recorded_release()
    disko = Input("disko", f"github:nix-community/disko/{REVISION}", EMPTY, REVISION)
    for variant, inputs in (("iso", HOW.inputs), ("kexec-installer", (disko,))):
        made = build(release, variant, status="succeeded")
        BuildRecord.objects.note(made, replace(HOW, inputs=inputs), log_sha256="ef" * 32)
    said = json.loads(provenance.statement(release) or b"{}")
    told = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [each["name"] for each in told] == ["flake", "nixpkgs", "disko"]


def test_no_level_is_claimed() -> None:
    release = told_release()
    text = stored(release, SBOM).decode() + json.dumps(statement_of(release))
    assert "level" not in text.lower()


def test_sbom_lists_what_is_inside_and_how_far_that_goes() -> None:
    data = stored(told_release(), SBOM)
    check_sbom(data)
    said = json.loads(data)
    inside = {each["name"]: each for each in said["components"]}
    assert inside["libc6"]["hashes"] == [{"alg": "SHA-256", "content": "ba" * 32}]
    assert inside["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9?arch=amd64"
    assert inside["glibc"]["version"] == "2.40"
    depends = {each["ref"]: each["dependsOn"] for each in said["dependencies"]}
    assert depends["variant:netboot"] == sorted(
        [inside["glibc"]["bom-ref"], inside["libc6"]["bom-ref"]]
    )
    assert said["compositions"] == [{"aggregate": "unknown", "dependencies": ["variant:netboot"]}]


def test_manifest_names_both_with_their_digests() -> None:
    release = told_release()
    named = named_in_manifest(release)
    assert set(named) == {PROVENANCE, SBOM}
    assert named[SBOM]["sha256"] == hashlib.sha256(stored(release, SBOM)).hexdigest()
    assert {PROVENANCE, SBOM} <= release.papers.keys()


def test_release_without_records_has_neither(client: Client) -> None:
    release = stored_release(channel(), "1.0")
    assert named_in_manifest(release) == {}
    for name in (PROVENANCE, SBOM):
        artifacts().write_once(release.key(name), b"{}\n")  # nothing names it
        assert client.get(f"/{release.key(name)}").status_code == 404
    latest = client.get(f"/api/v1/latest/demo/{release.system}/").json()
    assert (latest["provenance_url"], latest["sbom_url"]) == (None, None)


def test_portal_shows_and_serves_both(client: Client, settings: LazySettings) -> None:
    settings.PORTAL_URL = HOST
    release = told_release()
    urls = {name: f"{HOST}/{release.key(name)}" for name in (PROVENANCE, SBOM)}
    detail = f"/api/v1/releases/demo/1.0/{release.system}/"
    for path in (f"/api/v1/latest/demo/{release.system}/", detail):
        said = client.get(path).json()
        assert (said["provenance_url"], said["sbom_url"]) == (urls[PROVENANCE], urls[SBOM])
    page = client.get(release.get_absolute_url()).content.decode()
    types = {
        PROVENANCE: "application/vnd.in-toto.provenance+dsse",
        SBOM: "application/vnd.cyclonedx+json; version=1.6",
    }
    for name, url in urls.items():
        assert page.count(f'href="{url}"') == 1
        answer = client.get(f"/{release.key(name)}")
        assert answer["Content-Type"] == types[name]
        assert types[name] in page
        assert body(answer) == stored(release, name)
    build_type = statement_of(release)["predicate"]["buildDefinition"]["buildType"]
    assert build_type == f"{HOST}/verify/#nix-flake-v1"
    assert 'id="nix-flake-v1"' in client.get("/verify/").content.decode()
