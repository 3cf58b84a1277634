"""Releases as GitHub's REST API tells of them, for what used to read the seed's releases."""
