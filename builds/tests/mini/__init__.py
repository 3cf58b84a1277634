"""Tests of the mini image as Nix builds it."""
