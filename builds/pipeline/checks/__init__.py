"""Checks on a release: each takes the stored files and comes back with a verdict."""

from builds.pipeline.checks.registry import CHECKS, BootCheck
from builds.pipeline.checks.running import run_check

__all__ = ["CHECKS", "BootCheck", "run_check"]
