"""The command `nixos-images`, installed as people install it."""
