"""The names of the files that lie beside the artifacts of a release, and of those that move."""

from __future__ import annotations

from builds.choices import System
from builds.signing import CMS_SUFFIX, SUFFIXES

MOVING_SUMS = "SHA256SUMS"
VERIFYING = ("verified", "pinned")  # by signature, by digest


def sums_name(system: str) -> str:
    """The name of the sums file of one release."""
    return f"SHA256SUMS-{system}"


def manifest_name(system: str) -> str:
    """The name of the manifest of one release."""
    return f"release-{system}.json"


def is_manifest(name: str) -> bool:
    """Whether a file's name is that of a manifest."""
    return name in {manifest_name(system) for system in System}


def script_name(system: str) -> str:
    """The name of the iPXE script of one system."""
    return f"netboot-{system}.ipxe"


def verifying_name(system: str, kind: str) -> str:
    """The name of an iPXE script that verifies what it loads; `kind` is one of VERIFYING."""
    return f"netboot-{system}-{kind}.ipxe"


def verifying_names(system: str) -> list[str]:
    """The names of those scripts."""
    return [verifying_name(system, kind) for kind in VERIFYING]


def boot_signature_names(system: str) -> list[str]:
    """The names of the signatures for iPXE's imgverify of one release."""
    names = [System(system).kernel_name, f"initrd-{system}", script_name(system)]
    return [f"{name}{CMS_SUFFIX}" for name in (*names, *verifying_names(system))]


def latest_name(system: str) -> str:
    """The name of the file that tells a mirror's readers what is the latest."""
    return f"latest-{system}.json"


def timestamp_name(system: str) -> str:
    """The name of the signer's word on what is the latest now; see `timestamps`."""
    return f"timestamp-{system}.json"


def timestamp_names(system: str) -> list[str]:
    """The same with those of its signatures."""
    name = timestamp_name(system)
    return [name, *signature_names(name)]


def history_name() -> str:
    """The name of the file that tells what became of each release of a channel."""
    return "releases.json"


def unsigned_names(system: str) -> tuple[str, str]:
    """The names of sums and manifest of one release, without those of their signatures."""
    return sums_name(system), manifest_name(system)


def signature_names(name: str) -> list[str]:
    """The names of the signatures of a file: SSHSIG, then minisign."""
    return [f"{name}{suffix}" for suffix in SUFFIXES]


def is_signature(name: str) -> bool:
    """Whether a file's name is that of a signature; it may be signed again by another key."""
    return name.endswith((*SUFFIXES, CMS_SUFFIX))


def provenance_name(system: str) -> str:
    """The name of the provenance of one release: a DSSE envelope on one line."""
    return f"provenance-{system}.intoto.jsonl"


def sbom_name(system: str) -> str:
    """The name of the SBOM of one release."""
    return f"sbom-{system}.cdx.json"


def document_names(system: str) -> tuple[str, str]:
    """The names of provenance and SBOM of one release, which the manifest lists if it has them."""
    return provenance_name(system), sbom_name(system)


def is_envelope(name: str) -> bool:
    """Whether a file's name is that of a provenance, which has its signature inside."""
    return name in {provenance_name(system) for system in System}


def may_be_signed_again(name: str) -> bool:
    """Whether a file holds a signature, so that its bytes are others once its key is another."""
    return is_signature(name) or is_envelope(name)


def paper_names(system: str) -> frozenset[str]:
    """The names that files beside the artifacts of one release can have, with signatures."""
    names = unsigned_names(system)
    signatures = (each for name in names for each in signature_names(name))
    for_ipxe = (*verifying_names(system), *boot_signature_names(system))
    return frozenset({*names, *signatures, *document_names(system), *for_ipxe})


def moving_names() -> list[str]:
    """The names of all files that move with a channel's heads."""
    per_system = [name(system) for system in System for name in (latest_name, script_name)]
    return [MOVING_SUMS, *signed_names(), history_name(), *per_system]


def signed_names() -> list[str]:
    """The names of those among them that the signer makes."""
    made = [
        name
        for system in System
        for name in (
            *timestamp_names(system),
            *verifying_names(system),
            *(f"{each}{CMS_SUFFIX}" for each in verifying_names(system)),
        )
    ]
    return [*signature_names(MOVING_SUMS), *made]
