"""`python3 -m deploy COMMAND`: what the Makefile calls."""

from __future__ import annotations

import sys

from deploy import audit, lint, lock, messages, run, setup, tests
from deploy.terminal import Refused, complain

COMMANDS = {
    "run": run.main,
    "setup": setup.main,
    "test": tests.main,
    "lint": lint.main,
    "lock": lock.main,
    "audit": audit.main,
    "crash": tests.crash,
    "fuzz": tests.fuzz,
    "bench": tests.bench,
    "load": tests.load,
    "soak": tests.soak,
    "messages": messages.main,
    "screenshots": tests.screenshots,
    "lighthouse": tests.lighthouse,
}


def main() -> int:
    """Run the command that was asked for; its exit code."""
    command, *arguments = sys.argv[1:] or [""]
    if command not in COMMANDS:
        complain(f"knows {', '.join(COMMANDS)}, not {command!r}")
        return 2
    try:
        return COMMANDS[command](arguments)
    except Refused as refusal:
        complain(str(refusal))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
