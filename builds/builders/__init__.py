"""Builders: adapters that get one variant of an image built."""
