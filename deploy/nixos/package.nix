# The portal and its units, over Python packages from a folder of wheels:
#
#   pip download --prefer-binary -r requirements.txt -d wheels
#   pkgs.callPackage deploy/nixos/package.nix { wheels = ./wheels; }
#
# nixpkgs has neither all of the packages nor these versions, and the requirements are pinned.
{ lib, stdenv, python3, coreutils, autoPatchelfHook ? null, zlib, openssl, wheels }:

let
  source = builtins.filterSource
    (path: _type: !(builtins.elem (baseNameOf path) [ ".git" ".venv" "var" "node_modules" "wheels" ]))
    ../..;

  env = stdenv.mkDerivation {
    name = "nixos-images-portal-python";
    nativeBuildInputs = lib.optional (autoPatchelfHook != null) autoPatchelfHook;
    buildInputs = [ python3 stdenv.cc.cc.lib zlib openssl ];
    unpackPhase = "true";
    installPhase = ''
      ${python3}/bin/python3 -m venv $out
      $out/bin/pip install --no-index --find-links ${wheels} -r ${../../requirements.txt}
    '';
  };
in
stdenv.mkDerivation {
  name = "nixos-images-portal";
  src = source;
  installPhase = ''
    mkdir -p $out/share $out/lib/systemd/system $out/bin
    cp -r . $out/share/nixos-images
    for unit in deploy/systemd/nixos-images*; do
      sed -e "s|/opt/nixos-images/.venv/bin/python|${env}/bin/python|" \
          -e "s|/opt/nixos-images|$out/share/nixos-images|" \
          -e "s|/bin/kill|${coreutils}/bin/kill|" "$unit" > $out/lib/systemd/system/$(basename "$unit")
    done
    cat > $out/bin/nixos-images-manage <<END
    #!${stdenv.shell}
    cd $out/share/nixos-images && exec ${env}/bin/python manage.py "\$@"
    END
    chmod +x $out/bin/nixos-images-manage
  '';
}
