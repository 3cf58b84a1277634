"""What the page on verifying shows: commands with real values, and what each of them proves."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from builds.boot.addresses import immutable_url, paper_url
from builds.boot.commands import chained, verified_download
from builds.choices import Role, System
from builds.models import Artifact, Channel, Head, Release
from builds.pipeline import naming
from builds.signing import BadKeys, KeySet, ReleaseKey, fingerprint, root_line, signer_line
from builds.storage import artifacts, public_key
from builds.web.choice import Tab
from builds.web.proof import Proof
from builds.web.verify_boot import cms_proof
from builds.web.verify_provenance import provenance_lines

NAMESPACES = {"release": ("nixos-images",) * 2, "root": ("nixos-images-root", "nixos-images-keys")}


@dataclass(frozen=True, slots=True)
class Group:
    """One row of tabs."""

    label: str
    tabs: tuple[Tab, ...]


@dataclass(frozen=True, slots=True)
class VerifyPage:
    """All of it; `release` is None where nothing is published, `keys` where there are none."""

    channel: str
    system: str
    groups: tuple[Group, ...]
    release: Release | None
    file: Artifact | None
    proofs: tuple[Proof, ...]
    keys: KeySet | None
    root: str


def verify_page(wish: dict[str, str], base: str) -> VerifyPage:
    """The checks for the latest release of a channel and system; the usual where none is known."""
    channels = list(Channel.objects.all())
    heads = list(Head.objects.with_files())
    channel, system = _chosen(channels, heads, wish)
    at_heads = {(head.release.channel.name, head.system): head.release for head in heads}
    release = at_heads.get((channel, system))
    keys = _stored_keys()
    file = _file_of(release) if release else None
    return VerifyPage(
        channel=channel,
        system=system,
        groups=_groups([each.name for each in channels], channel, system),
        release=release,
        file=file,
        proofs=tuple(_proofs(release, file, keys, base)) if release and file else (),
        keys=keys,
        root=fingerprint(keys.root) if keys else "",
    )


def _proofs(release: Release, file: Artifact, keys: KeySet | None, base: str) -> list[Proof]:
    key = keys.named(release.signed_by) if keys else None
    if keys is None or key is None:
        return [_by_digest(file, base)]
    return [
        _by_ssh(release, file, key, base),
        _by_minisign(release, file, key, base),
        _by_manifest(release, key, base),
        *_by_provenance(release, file, key, base),
        *cms_proof(release, base),
        _by_root(keys, base),
        _by_digest(file, base),
    ]


def _by_ssh(release: Release, file: Artifact, key: ReleaseKey, base: str) -> Proof:
    name = naming.sums_name(release.system)
    lines = [*_ssh_lines(release, name, signer_line(key.ssh), base), *_then_file(file, name, base)]
    return Proof(
        "ssh",
        _("By OpenSSH, which every rescue system has"),
        chained(lines),
        _(
            "The signer of this portal, which holds that key, looked at these very bytes: whole, "
            "built here, and with every check passed that the release waited for."
        ),
        _(
            "It says nothing about what the source contains, nor that this is the latest release. "
            "The key stands on this page: compare it with one that you got otherwise."
        ),
    )


def _by_minisign(release: Release, file: Artifact, key: ReleaseKey, base: str) -> Proof:
    name = naming.sums_name(release.system)
    lines = [
        *_downloads(release, name, ".minisig", base),
        f"minisign -V -P {key.minisign} -m {name}",
        *_then_file(file, name, base),
    ]
    return Proof(
        "minisign",
        _("By minisign"),
        chained(lines),
        _(
            "The same, by another program and another key of the same signer. The trusted comment "
            "that it prints names channel, version, architecture and number."
        ),
        _("As above. Read the comment: a good signature of another release is good, too."),
    )


def _by_manifest(release: Release, key: ReleaseKey, base: str) -> Proof:
    name = naming.manifest_name(release.system)
    lines = [
        *_ssh_lines(release, name, signer_line(key.ssh), base),
        f"""grep -oE '"(version|sequence|revision|expires_at)":("[^"]*"|[0-9]+)' {name}""",
    ]
    return Proof(
        "manifest",
        _("What it is made of, and whether it is too old"),
        chained(lines),
        _(
            "Source, builds and checks are as the manifest says. Past expires_at nobody should "
            "take it for the latest: then a mirror stands still, or somebody holds back what is "
            "new."
        ),
        _("ssh-keygen does not look at expires_at: compare it with today's date yourself."),
    )


def _by_provenance(release: Release, file: Artifact, key: ReleaseKey, base: str) -> list[Proof]:
    lines = provenance_lines(release, file, key, base)
    if lines is None:
        return []
    proof = Proof(
        "provenance",
        _("How it was made: the provenance, with openssl"),
        chained(lines),
        _(
            "The signer vouches that this portal built this very file, and statement.json says "
            "from which sources, with which settings of Nix, and when."
        ),
        _(
            "It claims no SLSA level: whoever controls the machines that build can have a build "
            "say anything of itself. Of what is in the image, the SBOM repeats what the image says."
        ),
    )
    return [proof]


def _by_root(keys: KeySet, base: str) -> Proof:
    who, namespace = NAMESPACES["root"]
    signature = "keys.json.sig"
    lines = [
        f"echo {shlex.quote(root_line(keys.root))} > root_signers",
        *(f"curl -fLO {base}/{public_key(name)}" for name in ("keys.json", "keys.json.sig")),
        f"ssh-keygen -Y verify -f root_signers -I {who} -n {namespace} -s {signature} < keys.json",
    ]
    return Proof(
        "root",
        _("The keys themselves"),
        chained(lines),
        _(
            "The root key, which changes hardly ever, names these release keys and says which are "
            "revoked. Note its fingerprint once; then no change of keys can fool you."
        ),
        _("It proves nothing to whoever sees the root key here for the first time."),
    )


def _by_digest(file: Artifact, base: str) -> Proof:
    digest = f"openssl dgst -sha256 -r {file.name}"
    lines = [*verified_download(file, base), f'test "$({digest})" = "{file.sha256} *{file.name}"']
    return Proof(
        "digest",
        _("By its digest alone, with sha256sum and openssl"),
        chained(lines),
        _("The file came as this page names it: nothing was cut off or changed on the way."),
        _(
            "Who can change this page can change the digest. Without HTTPS anybody on the way can "
            "do that."
        ),
    )


def _ssh_lines(release: Release, name: str, line: str, base: str) -> list[str]:
    who, namespace = NAMESPACES["release"]
    return [
        f"echo {shlex.quote(line)} > allowed_signers",
        *_downloads(release, name, ".sig", base),
        f"ssh-keygen -Y verify -f allowed_signers -I {who} -n {namespace} -s {name}.sig < {name}",
    ]


def _downloads(release: Release, name: str, suffix: str, base: str) -> list[str]:
    names = (name, f"{name}{suffix}")
    return [f"curl -fLO {shlex.quote(paper_url(base, release, each))}" for each in names]


def _then_file(file: Artifact, sums: str, base: str) -> list[str]:
    """The file itself, held to the sums whose signature is good by then."""
    return [
        f"curl -fLO {shlex.quote(immutable_url(base, file))}",
        f"grep ' {file.name}$' {sums} | sha256sum -c -",
    ]


def _file_of(release: Release) -> Artifact | None:
    """What most people download."""
    order = [Role.TARBALL, Role.ISO, Role.INITRD, Role.BUNDLE, Role.KERNEL, Role.IPXE]
    files = sorted(
        release.artifacts.all(), key=lambda file: (order.index(Role(file.role)), file.pk)
    )
    return files[0] if files else None


def _stored_keys() -> KeySet | None:
    """The keys as everybody may read them."""
    data = artifacts().read(public_key("keys.json"))
    try:
        return KeySet.from_json(data) if data else None
    except BadKeys:
        return None


def _chosen(channels: list[Channel], heads: list[Head], wish: dict[str, str]) -> tuple[str, str]:
    """What is asked for; what nobody knows is replaced by the usual."""
    names = [channel.name for channel in channels]
    usual = min(
        heads,
        key=lambda head: (
            not head.release.channel.is_default,
            names.index(head.release.channel.name),
            head.system != System.X86_64,
        ),
        default=None,
    )
    channel = usual.release.channel.name if usual else (names[0] if names else "")
    if wish["channel"] in names:
        channel = wish["channel"]
    system = wish["system"] if wish["system"] in System.values else System.X86_64.value
    return channel, system


def _groups(names: list[str], channel: str, system: str) -> tuple[Group, ...]:
    def tab(label: str, of: str, on: str, *, current: bool) -> Tab:
        url = f"?{urlencode({'channel': of, 'system': on})}"
        return Tab(label=label, url=url, current=current)

    channels = tuple(tab(name, name, system, current=name == channel) for name in names)
    systems = tuple(
        tab(each.architecture, channel, each.value, current=each == system) for each in System
    )
    return Group(_("Channel"), channels), Group(_("Architecture"), systems)
