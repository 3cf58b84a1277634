"""Drafts of the mini image's real files, booted by the real checks."""
