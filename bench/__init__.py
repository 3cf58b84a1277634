"""Measures the portal as ratios that are made in one run: `make bench`."""
