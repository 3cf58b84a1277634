"""A client of the NixOS images portal, of the standard library alone, for Python 3.9 and newer."""

VERSION = "0.1.0"
