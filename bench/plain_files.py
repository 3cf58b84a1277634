"""The files that are given out for measuring, by the path that is asked for."""

from __future__ import annotations

import os
from pathlib import Path


def by_path() -> dict[str, bytes]:
    """What BENCH_ROOT has; a path that ends in a slash has its file `whole`."""
    root = Path(os.environ["BENCH_ROOT"])
    files = [file for file in root.rglob("*") if file.is_file()]
    return {f"/{file.relative_to(root)}".removesuffix("whole"): file.read_bytes() for file in files}
