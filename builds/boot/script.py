"""The iPXE script of a release together with boot options; and where both are found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.template.loader import render_to_string
from django.urls import reverse

from builds.boot import handover
from builds.boot.options import BootOptions
from builds.models import Release
from builds.pipeline.documents import netboot_of

# iPXE fills in the address of the card that it boots from; PXELINUX made up the parameter.
BOOT_CARD = "BOOTIF=01-${netX/mac:hexhyp}"


@dataclass(frozen=True, slots=True)
class Loading:
    """What a script loads of one release, by paths that name no host.

    `folder` is the release's, `kernel` and `initrd` are names in it, `params` the kernel's words;
    `extra` is the name of the handed over archive and `archive` its path, "" where there is none.
    """

    folder: str
    kernel: str
    initrd: str
    params: str
    extra: str
    archive: str


def loading(release: Release, options: BootOptions) -> Loading | None:
    """What a script loads to boot a release with these options, None where it has no netboot."""
    netboot = netboot_of(release)
    if netboot is None:
        return None
    params = [netboot["params"], *options.kernel_params]
    if options.is_for_any_card:
        params.append(BOOT_CARD)
    has_extra = bool(handover.handover_files(options))
    return Loading(
        folder=f"/{release.key(netboot['kernel']).removesuffix(netboot['kernel'])}",
        kernel=netboot["kernel"],
        initrd=netboot["initrd"],
        params=" ".join(filter(None, params)),
        extra=handover.NAME if has_extra else "",
        archive=archive_path(release, options) if has_extra else "",
    )


def composed_script(release: Release, options: BootOptions) -> bytes | None:
    """The script that boots a release with these options, None where it has no netboot.

    Its addresses name no host: those of kernel and initrd are of this one release, the handed
    over archive lies beside the script. That archive comes first: it is not compressed, and an
    archive behind a compressed one has to begin where not every loader puts it.
    """
    found = loading(release, options)
    if found is None:
        return None
    context = {**asdict(found), "release": release}
    return render_to_string("boot/netboot.ipxe", context).encode()


def composed_path(release: Release, options: BootOptions, *, pinned: bool = False) -> str:
    """The path of the script: of the channel's latest release, or `pinned` of this very one."""
    where = [release.channel.name, *([release.version] if pinned else []), release.system]
    return reverse("pinned-script" if pinned else "composed-script", args=[*where, options.segment])


def archive_path(release: Release, options: BootOptions) -> str:
    """The path of the handed over archive that the script of this very release loads."""
    script = composed_path(release, options, pinned=True)
    return f"{script.rpartition('/')[0]}/{handover.NAME}"
