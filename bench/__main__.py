"""`python -m bench [PART…]`: measures, prints one table, and keeps it in docs/performance.md.

    --quick     a tenth of the work, for a look

Only a run of all parts in full is kept there.
Everything is made in a folder of its own below the system's temporary one.
"""

from __future__ import annotations

import sys

from bench.ground import ground


def main() -> None:
    """Measure what the arguments name, or everything."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    is_quick = "--quick" in sys.argv
    with ground() as folder:
        from bench.report import Report, measure

        report = Report()
        measure(report, words, folder, is_quick=is_quick)
        report.show()
        if not words and not is_quick:
            report.keep()


if __name__ == "__main__":
    main()
