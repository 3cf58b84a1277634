"""Tests under load, bounded in count and time."""
