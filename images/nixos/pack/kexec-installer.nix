# The tarball that boots a running Linux into the image.
{ image, system, variant, compressions }:
let
  facts = import ./facts.nix { inherit image system; };
  inherit (image) pkgs;

  # They run on a system that has no /nix/store. Old trees, which are only evaluated, can't link
  # statically.
  programs =
    if pkgs ? pkgsStatic then
      {
        kexec = pkgs.pkgsStatic.kexec-tools;
        # With iptables it does not link statically.
        ip = pkgs.pkgsStatic.iproute2.override { iptables = null; };
      }
    else
      {
        kexec = pkgs.kexectools;
        ip = pkgs.iproute;
      };
in
facts.output variant
  {
    inherit (facts) kernelFile initrdFile;
    inherit compressions;
    tarball = "nixos-${variant}-${system}.tar";

    # The mini image has the same one.
    run =
      builtins.replaceStrings
        [ "@kernelParams@" "@minRamMib@" ]
        [ facts.kernelParams (toString facts.minRamMib) ]
        (builtins.readFile ../../kexec/run);
    kexec = "${programs.kexec}/bin/kexec";
    ip = "${programs.ip}/bin/ip";

    nativeBuildInputs = [ pkgs.xz ];
  }
  ''
    mkdir kexec
    printf %s "$run" > kexec/run
    cp $kexec kexec/kexec
    cp $ip kexec/ip
    # By this name on every system: tools that unpack the tarball look for it.
    cp $kernelFile kexec/bzImage
    cp $initrdFile kexec/initrd
    chmod 755 kexec kexec/run kexec/kexec kexec/ip
    chmod 644 kexec/bzImage kexec/initrd

    # The same bytes, whoever packs: no names, times or order of this machine. xz divides its work
    # by size, not by the number of processors, as long as it uses more than one thread.
    pack() {
      tar --create --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@1 kexec
    }
    for compression in $compressions; do
      case $compression in
        gz) pack | gzip --no-name ;;
        xz) pack | xz --check=crc32 --threads=4 --block-size=32MiB ;;
      esac > $out/$tarball.$compression
      product tarball $tarball.$compression
    done
  ''
