"""Uploads over real HTTP: whole, broken off, wrong, at once; to a folder and to S3."""
