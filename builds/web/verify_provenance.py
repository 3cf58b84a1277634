"""How a reader checks a release's provenance with openssl, which every rescue system has."""

from __future__ import annotations

import shlex

from builds.boot.addresses import immutable_url, paper_url
from builds.models import Artifact, Release
from builds.pipeline import naming
from builds.signing import ReleaseKey, pem
from builds.signing.dsse import PAYLOAD_TYPE


def provenance_lines(
    release: Release, file: Artifact, key: ReleaseKey, base: str
) -> list[str] | None:
    """Lines of POSIX sh that stop at the first thing that is wrong; None without provenance."""
    name, sbom = naming.document_names(release.system)
    if name not in release.papers:
        return None
    head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} %d "
    signed = f"{{ printf {shlex.quote(head)} $(wc -c < statement.json); cat statement.json; }}"
    keys = "-pubin -inkey release.pem"
    files = "-in statement.pae -sigfile statement.sig"
    lines = [
        f"printf '%s\\n' {shlex.join(pem(key.ssh).decode().splitlines())} > release.pem",
        f"curl -fLO {shlex.quote(paper_url(base, release, name))}",
        _unpacked("payload", name, "statement.json"),
        _unpacked("sig", name, "statement.sig"),
        f"{signed} > statement.pae",
        f"openssl pkeyutl -verify {keys} -rawin {files}",
    ]
    if sbom in release.papers:
        lines += _named(paper_url(base, release, sbom), sbom, '"},"mediaType"')
    return [*lines, *_named(immutable_url(base, file), file.name, f'"}},"name":"{file.name}"')]


def _unpacked(field: str, name: str, target: str) -> str:
    script = rf's/.*"{field}":"\([^"]*\)".*/\1/'
    return f"sed {shlex.quote(script)} {name} | openssl base64 -d -A > {target}"


def _named(url: str, name: str, then: str) -> list[str]:
    """A file, whose digest must stand in the statement before what says what it is of."""
    words = f"""'"sha256":"'"$(sha256sum < {name} | cut -d ' ' -f 1)"{shlex.quote(then)}"""
    return [f"curl -fLO {shlex.quote(url)}", f"grep -oF {words} statement.json"]
