"""Tests of the same rows on another database."""
