"""Tests; the folders mirror the app."""
