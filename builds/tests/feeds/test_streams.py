"""Fedora CoreOS stream metadata: the shape that its Go library reads."""

from __future__ import annotations

from typing import Any

import jsonschema
from django.test import Client

from builds.pipeline import withdraw
from builds.tests.factories import NOW
from builds.tests.feeds.conftest import ISO, Weeks

TEXT = {"type": "string", "minLength": 1}


def table(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, "additionalProperties": of}


def record(**of: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*of], "properties": of}


# Stream, Metadata, Arch, PlatformArtifacts, ImageFormat, Artifact of coreos/stream-metadata-go.
FILE = record(location={**TEXT, "format": "uri"}, sha256={"pattern": "^[0-9a-f]{64}$"})
PLATFORM = record(release=TEXT, formats=table(table(FILE)))
STREAM = record(
    stream=TEXT,
    metadata=record(**{"last-modified": {**TEXT, "format": "date-time"}}),
    architectures=table(record(artifacts=table(PLATFORM))),
)


def test_stream_has_the_shape_and_names_one_release(client: Client, weeks: Weeks) -> None:
    stream = client.get("/streams/demo.json").json()
    jsonschema.validate(stream, STREAM)
    assert stream["stream"] == "demo"
    assert stream["metadata"]["last-modified"] == "2026-11-20T12:00:00Z"
    assert set(stream["architectures"]) == {"x86_64", "aarch64"}
    metal = stream["architectures"]["x86_64"]["artifacts"]["metal"]
    assert metal["release"] == "2.0"
    iso = weeks.artifact(ISO)
    assert metal["formats"]["iso"]["disk"] == {
        "location": f"http://testserver/{iso.key}",
        "sha256": iso.sha256,
    }
    pxe = metal["formats"]["pxe"]
    assert pxe["kernel"]["location"].endswith("/demo/2.0/bzImage-x86_64-linux")
    assert pxe["initramfs"]["location"].endswith("/demo/2.0/initrd-x86_64-linux")
    kexec = stream["architectures"]["aarch64"]["artifacts"]["kexec"]["formats"]
    assert list(kexec) == ["tar.gz"]


def test_stream_follows_the_head(client: Client, weeks: Weeks) -> None:
    before = client.get("/streams/demo.json")
    withdraw(weeks.new, "It does not boot.", by=None, at=NOW)
    seen = {"If-None-Match": before["ETag"], "If-Modified-Since": before["Last-Modified"]}
    after = client.get("/streams/demo.json", headers=seen)
    assert after.status_code == 200
    assert after.json()["architectures"]["x86_64"]["artifacts"]["metal"]["release"] == "1.0"
    assert after.json()["metadata"]["last-modified"] == "2026-11-22T12:00:00Z"


def test_channel_without_releases_is_an_empty_stream(client: Client, weeks: Weeks) -> None:
    withdraw(weeks.other, "It does not boot.", by=None, at=NOW)
    assert client.get("/streams/nixos-26.05.json").json()["architectures"] == {}


def test_stream_that_is_not_there_names_those_that_are(client: Client, weeks: Weeks) -> None:
    response = client.get("/streams/stable.json")
    assert response.status_code == 404
    assert response.content == b"There is no channel stable. Channels: demo, nixos-26.05.\n"
