"""Releases beyond one portal: mirrors, followed portals, tars."""
