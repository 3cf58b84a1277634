# The variants of the mini image for `system`, packed on a machine of `builderSystem`.
{ lock, version, builderSystem, system }:
let
  inputs = import ./inputs.nix { inherit lock; };
  pinned = lock.systems.${system};

  # Of the consoles the last one is what /dev/console stands for.
  platform =
    {
      x86_64-linux = {
        kernelName = "bzImage-x86_64-linux";
        # An emulated timer on a busy machine fails the kernel's test of it by chance.
        params = "no_timer_check console=tty0 console=ttyS0,115200";
        efiFormat = "x86_64-efi";
        efiName = "BOOTX64.EFI";
      };
      aarch64-linux = {
        kernelName = "Image-aarch64-linux";
        params = "console=tty0 console=ttyAMA0,115200";
        efiFormat = "arm64-efi";
        efiName = "BOOTAA64.EFI";
      };
    }
    .${system};
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

  # The programs that pack, for the machine that packs. Kernel, GRUB and these stay the same for
  # every version of the flake, as long as Debian's packages do.
  tools =
    let
      programs = map (name: lock.systems.${builderSystem}.programs.${name}) [
        "mkimage"
        "mtools"
        "xorriso"
        "xz"
      ];
    in
    pack ./pack/tools.sh {
      name = "mini-tools-${builderSystem}";
      programs = "grub-mkimage mtools xorriso xz";
      libraries = unique (builtins.concatMap (program: program.libraries) programs);
      packages = inputs.packages builderSystem (
        unique (builtins.concatMap (program: program.packages) programs)
      );
      unpack = ./pack/unpack.sh;
    };
  # Which of Debian's packages an image has files of, as the portal reads it for its SBOM.
  packagesJson =
    names:
    builtins.toJSON {
      packages = map (
        name: pinned.packages.${name} // { kind = "deb"; inherit name; }
      ) (unique ([ "busybox-static" pinned.kernel ] ++ pinned.programs.dropbear.packages ++ names));
    };
  kexecPackages = pinned.programs.kexec.packages;
  unique =
    names: builtins.attrNames (builtins.listToAttrs (map (name: { inherit name; value = null; }) names));

  kernel = pack ./pack/kernel.sh {
    name = "mini-kernel-${system}-${kernelVersion}";
    packages = inputs.packages system [ pinned.kernel ];
    modules = "virtio_pci virtio_mmio virtio_net virtio_blk virtio_scsi virtio_rng e1000 e1000e sd_mod";
  };

  grub = pack ./pack/grub.sh {
    name = "mini-grub-${system}";
    inherit (platform) efiFormat efiName;
    inherit tools;
    packages = inputs.packages system pinned.grub;
    tool = ./pack/tool.sh;
    unpack = ./pack/unpack.sh;
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
    name: script: packages: arguments:
    pack script (
      {
        name = "mini-${name}-${system}-${version}";
        packagesJson = packagesJson packages;
        inherit version kernel initrd;
        kernelParams = platform.params;
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
rec {
  netboot = variant "netboot" ./pack/netboot.sh [ ] {
    inherit (platform) kernelName;
  };

  kexec-installer = variant "kexec-installer" ./pack/kexec-installer.sh kexecPackages {
    inherit (pinned.programs.kexec) libraries;
    inherit minRamMib;
    busybox = inputs.busybox system;
    packages = inputs.packages system pinned.programs.kexec.packages;
    inherit tools;
    run = ./kexec/run;
    tar = ./pack/tar.sh;
    tool = ./pack/tool.sh;
    unpack = ./pack/unpack.sh;
    wrapper = ./kexec/kexec;
  };

  # The same tarball: this image has nothing that a program would not need.
  kexec-installer-noninteractive = variant "kexec-installer-noninteractive" ./pack/link.sh kexecPackages {
    role = "tarball";
    file = "${kexec-installer}/nixos-kexec-installer-${system}.tar.gz";
    linkName = "nixos-kexec-installer-noninteractive-${system}.tar.gz";
  };

  kexec-bundle = variant "kexec-bundle" ./pack/kexec-bundle.sh kexecPackages {
    header = ./kexec/bundle;
    kexecInstaller = kexec-installer;
  };

  # No variant: with it the portal's checks boot the netboot by UEFI where there is no iPXE.
  netboot-loader = pack ./pack/netboot-loader.sh {
    name = "mini-netboot-loader-${system}";
    inherit (platform) efiFormat;
    inherit tools;
    packages = inputs.packages system pinned.grub;
    tool = ./pack/tool.sh;
    unpack = ./pack/unpack.sh;
  };

  # A person in front of it may have no key at hand.
  iso = variant "iso" ./pack/iso.sh pinned.grub {
    inherit grub tools;
    kernelParams = "${platform.params} mini.password";
    menu = ./grub.cfg;
    tool = ./pack/tool.sh;
  };
}
