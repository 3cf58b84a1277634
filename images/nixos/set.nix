# Sets options by the names that the NixOS at hand has: one that it lacks is left out, so that the
# same modules serve the newest NixOS and old ones. Options are dotted paths.
{ lib, options }:
let
  split = lib.splitString ".";
  set = path: value: lib.optionalAttrs (has path) (lib.setAttrByPath (split path) value);
  has = path: lib.hasAttrByPath (split path) options;
in
{
  inherit has set;

  # For an option that was renamed: the newest name first, since renaming leaves the old one behind.
  setFirst =
    paths: value:
    let
      known = lib.filter has paths;
    in
    lib.optionalAttrs (known != [ ]) (set (lib.head known) value);
}
