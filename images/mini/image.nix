# The variants of the mini image for `system`, packed on a machine of `builderSystem`.
{ lock, version, builderSystem, system }:
let
  inputs = import ./inputs.nix { inherit lock; };
  pinned = lock.systems.${system};

  platform =
    {
      x86_64-linux = { kernelName = "bzImage-x86_64-linux"; serial = "ttyS0,115200"; };
      aarch64-linux = { kernelName = "Image-aarch64-linux"; serial = "ttyAMA0,115200"; };
    }
    .${system};
  # The last console is the one that /dev/console stands for.
  kernelParams = "console=tty0 console=${platform.serial}";
  minRamMib = 192;
  kernelVersion = builtins.head (builtins.match "linux-image-(.*)" pinned.kernel);

  # The builder program is BusyBox, with a shell and every tool that the scripts call.
  pack =
    script: arguments:
    derivation (
      {
        system = builderSystem;
        builder = inputs.busybox builderSystem;
        args = [ "sh" script ];
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      // arguments
    );

  # Stays the same for every version of the flake, as long as Debian's package does.
  kernel = pack ./pack/kernel.sh {
    name = "mini-kernel-${system}-${kernelVersion}";
    packages = inputs.packages system [ pinned.kernel ];
    modules = "virtio_pci virtio_mmio virtio_net virtio_blk virtio_scsi virtio_rng e1000 e1000e sd_mod";
  };

  initrd = pack ./pack/initrd.sh {
    name = "mini-initrd-${system}-${version}";
    inherit kernel version;
    inherit (lock) release;
    inherit (pinned.programs.dropbear) libraries;
    busybox = inputs.busybox system;
    packages = inputs.packages system pinned.programs.dropbear.packages;
    programs = "dropbear dropbearkey dropbearconvert";
    root = ./root;
    targetSystem = system;
    unpack = ./pack/unpack.sh;
  };

  variant =
    name: script: arguments:
    pack script (
      {
        name = "mini-${name}-${system}-${version}";
        inherit version kernel initrd kernelParams;
        imageJson = builtins.toJSON {
          inherit version;
          kernel_version = kernelVersion;
          min_ram_mib = minRamMib;
        };
        targetSystem = system;
      }
      // arguments
    );
in
{
  netboot = variant "netboot" ./pack/netboot.sh {
    inherit (platform) kernelName;
  };

  kexec-installer = variant "kexec-installer" ./pack/kexec-installer.sh {
    inherit (pinned.programs.kexec) libraries;
    inherit minRamMib;
    busybox = inputs.busybox system;
    packages = inputs.packages system pinned.programs.kexec.packages;
    run = ./kexec/run;
    tar = ./pack/tar.sh;
    unpack = ./pack/unpack.sh;
    wrapper = ./kexec/kexec;
  };
}
