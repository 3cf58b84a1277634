"""Tests of boot options, and of what is composed from them."""
