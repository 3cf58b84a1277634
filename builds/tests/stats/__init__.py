"""Counting downloads, and the page of numbers."""
