"""`python -m bench [PART…]`: measures, and keeps each part's table in docs/performance.md.

    --list      the names of the parts
    --quick     a tenth of the work, for a look that is not kept

Everything is made in a folder of its own below the system's temporary one.
"""

from __future__ import annotations

import sys

from bench.ground import ground

APART = ("load", "soak")  # they have commands of their own


def main() -> None:
    """Measure what the arguments name, or everything."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    is_quick = "--quick" in sys.argv
    with ground() as folder:
        from bench.report import TITLES, measure

        known = [name for name in TITLES if name not in APART]
        unknown = [word for word in words if word not in known]
        if unknown or "--list" in sys.argv:
            print("\n".join(f"{name:18} {TITLES[name]}" for name in known))
            sys.exit(f"there is no {', '.join(unknown)}" if unknown else 0)
        sys.exit(measure(words, folder, is_quick=is_quick))


if __name__ == "__main__":
    main()
