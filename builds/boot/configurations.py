"""What other programs are told to boot a release: pixiecore, GRUB, QEMU, cloud-init, Terraform."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence

from django.utils.translation import gettext

from builds.boot.addresses import immutable_url
from builds.boot.commands import BootCommand, chained
from builds.boot.netboot import Netboot
from builds.choices import System

_MIB = 1024 * 1024
_LEAST_MIB = 1024
_MACHINES = {
    System.X86_64: "-M pc",
    System.AARCH64: "-M virt -cpu max",
}


def pixiecore(netboot: Netboot) -> BootCommand:
    """A download and a program that serves a whole network with it."""
    words = ["pixiecore", "boot", netboot.kernel.name, *netboot.initrd_names]
    if netboot.params:
        words += ["--cmdline", " ".join(netboot.params)]
    return BootCommand(
        method="pixiecore",
        title="pixiecore",
        text=chained([*netboot.download(), shlex.join(words)]),
        files=netboot.files,
        verifies=True,
        note=gettext(
            "To boot every machine of a network once, without touching its DHCP server: run as "
            "root on any machine in it, and stop it afterwards."
        ),
    )


def pixiecore_api(netboot: Netboot) -> BootCommand:
    """What an API server of pixiecore answers for a machine."""
    answer = {
        "kernel": netboot.kernel_url,
        "initrd": netboot.initrd_urls,
        "cmdline": " ".join(netboot.params),
    }
    return BootCommand(
        method="pixiecore_api",
        title=gettext("pixiecore, API"),
        text=json.dumps(answer, indent=2),
        files=netboot.files,
        verifies=False,
        note=gettext(
            "To choose by machine: let your server answer this at /v1/boot/ and the card's "
            "address, and start “pixiecore api” with its address."
        ),
    )


def grub_files(netboot: Netboot) -> BootCommand:
    """What brings the files to where the entry looks for them."""
    folder = _folder(netboot)
    lines = [f"mkdir -p /boot/{folder}", f"cd /boot/{folder}", *netboot.download()]
    return BootCommand(
        method="grub_files",
        title=gettext("GRUB, files"),
        text=chained(lines),
        files=netboot.files,
        verifies=True,
        note=gettext("Run as root before the entry is used: it brings the files, verified."),
    )


def grub(netboot: Netboot) -> BootCommand:
    """An entry that finds the files, whether /boot is a partition of its own or not."""
    folder = _folder(netboot)
    kernel = netboot.kernel.name
    names = " ".join(f'"$images"/{name}' for name in netboot.initrd_names)
    words = [f'linux "$images"/{kernel}', *map(shlex.quote, netboot.params)]
    text = f"""\
menuentry {shlex.quote(str(netboot.release))} {{
  set images=/{folder}
  if ! search --no-floppy --set=root --file /{folder}/{kernel}; then
    search --no-floppy --set=root --file /boot/{folder}/{kernel}
    set images=/boot/{folder}
  fi
  {" ".join(words)}
  initrd {names}
}}"""
    return BootCommand(
        method="grub",
        title="GRUB",
        text=text,
        files=netboot.files,
        verifies=False,
        note=gettext(
            "For a machine that has GRUB, where kexec is blocked: put it into "
            "/boot/grub/custom.cfg, bring the files, and choose it at the next start."
        ),
    )


def qemu(netboot: Netboot) -> BootCommand:
    """A download and a virtual machine with its console in the terminal; Ctrl-A X ends it.

    By emulation: there are machines where KVM opens and then hangs, and QEMU does not fall back.
    """
    system = System(netboot.release.system)
    size = sum(artifact.size for artifact in netboot.files) // _MIB
    lines = list(netboot.download())
    initrd = netboot.initrd.name
    if netboot.has_archive:
        lines.append(f"cat {' '.join(netboot.initrd_names)} > initrd")
        initrd = "initrd"
    lines.append(
        f"qemu-system-{system.architecture} {_MACHINES[system]} -accel tcg "
        f"-m {max(_LEAST_MIB, 768 + 4 * size)} -nographic -no-reboot "
        "-nic user,model=virtio-net-pci "
        f"-kernel {netboot.kernel.name} -initrd {initrd} "
        f"-append {shlex.quote(' '.join(netboot.params))}"
    )
    return BootCommand(
        method="qemu",
        title="QEMU",
        text=chained(lines),
        files=netboot.files,
        verifies=True,
        note=gettext(
            "To try it on your own machine, with the console in the terminal: Ctrl-A, then X, "
            "ends it. It emulates, which works everywhere; where KVM does, write kvm for tcg, "
            "and it is ten times as fast."
        ),
    )


def cloud_init(usual: BootCommand, lines: Sequence[str]) -> BootCommand:
    """User data: `lines` in a block of YAML, whose text needs no quoting."""
    script = ["set -e", "cd /root", *lines]
    text = "\n".join(["#cloud-config", "runcmd:", "  - |", *(f"    {line}" for line in script)])
    return BootCommand(
        method="cloud_init",
        title="cloud-init",
        text=text,
        files=usual.files,
        verifies=True,
        note=gettext(
            "For a new machine at a cloud that has no NixOS of its own: give it as user data to "
            "any Linux; at its first start it goes on into this release."
        ),
    )


def terraform(usual: BootCommand, base: str) -> BootCommand:
    """The module of nixos-anywhere, with this very tarball."""
    (tarball,) = usual.files
    text = f"""\
module "nixos" {{
  source = "github.com/nix-community/nixos-anywhere//terraform/all-in-one"

  nixos_system_attr      = ".#nixosConfigurations.HOST.config.system.build.toplevel"
  nixos_partitioner_attr = ".#nixosConfigurations.HOST.config.system.build.diskoScript"
  target_host            = "ADDRESS"
  instance_id            = "ADDRESS"
  kexec_tarball_url      = {_hcl(immutable_url(base, tarball))}
}}"""
    return BootCommand(
        method="terraform",
        title="Terraform",
        text=text,
        files=usual.files,
        verifies=False,
        note=gettext(
            "To install NixOS on machines that Terraform or OpenTofu makes: replace HOST and "
            "ADDRESS. nixos-anywhere does not verify the digest."
        ),
    )


OF_NETBOOT: tuple[Callable[[Netboot], BootCommand], ...] = (
    pixiecore,
    pixiecore_api,
    grub,
    grub_files,
    qemu,
)


def _folder(netboot: Netboot) -> str:
    return f"nixos-images/{netboot.release.channel.name}-{netboot.release.system}"


def _hcl(text: str) -> str:
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")
