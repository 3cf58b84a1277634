"""`python -m bench [PART…]`: measures, prints one table, and keeps it in docs/performance.md.

    --quick     a tenth of the work, for a look

Only a run of all parts in full is kept there.
Everything is made in a folder of its own below the system's temporary one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Measure what the arguments name, or everything."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    folder = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATA_DIR": str(folder / "data"),
        "NIX_OFFLINE": "true",
    }
    import django  # only now does the environment say where

    django.setup()
    from django.core.management import call_command

    from bench.report import Report, measure

    try:
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        report = Report()
        measure(report, words, folder, is_quick="--quick" in sys.argv)
        report.show()
        if not words and "--quick" not in sys.argv:
            report.keep()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
