# The pinned inputs as store paths: `fetch` of inputs.py has put them there under these hashes.
{ lock }:
let
  # Never runs where the input is in the store. Where it is not, Nix's own downloader is the one
  # builder that works in every sandbox, and it fails with the address as its message.
  required =
    { name, sha256, mode }:
    derivation {
      inherit name;
      system = "builtin";
      builder = "builtin:fetchurl";
      url = "missing-input:${name} is not in the Nix store - run 'make inputs' first";
      urls = [ ];
      unpack = false;
      executable = false;
      outputHashAlgo = "sha256";
      outputHashMode = mode;
      outputHash = sha256;
      preferLocalBuild = true;
      allowSubstitutes = false;
    };
in
{
  # The .deb files of `names`, as one string for a shell loop.
  packages =
    system: names:
    toString (
      map (
        name:
        let
          package = lock.systems.${system}.packages.${name};
        in
        required { name = package.file; inherit (package) sha256; mode = "flat"; }
      ) names
    );

  # A static BusyBox that runs on `system`.
  busybox =
    system:
    "${
      required {
        name = "busybox-${system}";
        sha256 = lock.systems.${system}.busybox_nar_sha256;
        mode = "recursive";
      }
    }/bin/busybox";
}
