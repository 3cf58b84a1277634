"""Signatures: made, refused, verified by the tools that readers have, and made again."""
