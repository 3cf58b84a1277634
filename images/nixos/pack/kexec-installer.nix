# The tarball that boots a running Linux into the image.
{ image, system, variant, compressions }:
let
  facts = import ./facts.nix { inherit image system; };
  inherit (image) pkgs;

  # They run on a system that has no /nix/store. Trees before 18.09 can't link statically; they
  # are only evaluated.
  static = pkgs.pkgsStatic or pkgs;
  kexec = static.kexec-tools or static.kexectools;
  iproute = static.iproute2 or static.iproute;
in
facts.output variant
  {
    inherit (facts) kernelFile initrdFile;
    inherit compressions;
    tarball = "nixos-${variant}-${system}.tar";

    # The mini image has the same one.
    run =
      builtins.replaceStrings [ "@kernelParams@" ] [ facts.kernelParams ]
        (builtins.readFile ../../kexec/run);
    kexec = "${kexec}/bin/kexec";
    ip = "${iproute}/bin/ip";

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
