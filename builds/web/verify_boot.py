"""How a reader checks by openssl what iPXE checks by `imgverify`: the CMS signatures."""

from __future__ import annotations

import hashlib
import shlex

from django.utils.translation import gettext as _

from builds.boot.addresses import immutable_url, paper_url
from builds.boot.commands import chained
from builds.choices import Role
from builds.models import Release
from builds.signing import BOOT_CA, CMS_SUFFIX
from builds.storage import artifacts, public_key
from builds.web.proof import Proof

# Without the last two words openssl takes any root of the machine for one that may sign images.
_TRUST = f"-CAfile {BOOT_CA} -no-CApath -no-CAstore -purpose any -out /dev/null"


def cms_proof(release: Release, base: str) -> list[Proof]:
    """The check of kernel and initrd; none where there is no netboot, or no CA."""
    files = [file for file in release.artifacts.all() if file.role in {Role.KERNEL, Role.INITRD}]
    ca = artifacts().read(public_key(BOOT_CA))
    if not files or ca is None or not _is_signed(release, files[0].name):
        return []
    lines = [
        f"curl -fLO {shlex.quote(f'{base}/{public_key(BOOT_CA)}')}",
        f'echo "{hashlib.sha256(ca).hexdigest()}  {BOOT_CA}" | sha256sum -c -',
    ]
    for file in files:
        signature = f"{file.name}{CMS_SUFFIX}"
        what = f"-in {signature} -content {file.name}"
        lines += [
            f"curl -fLO {shlex.quote(immutable_url(base, file))}",
            f"curl -fLO {shlex.quote(paper_url(base, release, signature))}",
            f"openssl cms -verify -binary -inform DER {what} {_TRUST}",
        ]
    proof = Proof(
        "cms",
        _("Kernel and initrd by CMS, as iPXE does it, with openssl"),
        chained(lines),
        _(
            "The signer of this portal, to whose key that CA gave a certificate, looked at these "
            "very bytes. The script netboot-…-verified.ipxe checks the same on the machine that "
            "boots."
        ),
        _(
            "It says neither which release these are of, nor that it is the latest. A certificate "
            "holds for a year, and nothing tells of a revoked one. The CA stands on this page: "
            "compare its digest with one that you got otherwise."
        ),
    )
    return [proof]


def _is_signed(release: Release, name: str) -> bool:
    return artifacts().exists(release.key(f"{name}{CMS_SUFFIX}"))
