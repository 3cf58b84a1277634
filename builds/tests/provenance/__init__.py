"""Provenance and SBOM: what they say, who may say it, and where they go."""
