"""`python -m builds.tests.shown.lighthouse`: what Lighthouse says of `/` and of a release."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from builds.tests.ports import free_port
from builds.tests.shown.screenshots import FLAGS, rows
from builds.tests.shown.site import ROOT, site

PROGRAM = ROOT / "deploy" / "node" / "node_modules" / "lighthouse" / "cli" / "index.js"
LEAST = {"accessibility": 100, "best-practices": 100, "performance": 95}
PAGES = ("dashboard", "release")


def main() -> None:
    """Measure both; exit code 1 where a mark is too low, with what was found."""
    if not PROGRAM.is_file():
        raise SystemExit("Lighthouse is not installed; run make lighthouse")
    with site(free_port(), rows) as (url, paths):
        good = [measure(name, f"{url}{paths[name]}") for name in PAGES]
    sys.exit(0 if all(good) else 1)


def measure(name: str, url: str) -> bool:
    """Print the marks of one page; whether all are high enough."""
    report = _report(url)
    marks = {kind: round(100 * report["categories"][kind]["score"]) for kind in LEAST}
    said = ", ".join(f"{kind} {mark}" for kind, mark in marks.items())
    print(f"{name}: {said}", flush=True)
    low = [kind for kind, mark in marks.items() if mark < LEAST[kind]]
    for kind in low:
        for line in _faults(report, kind):
            print(f"    {kind}: {line}", flush=True)
    return not low


def _report(url: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="portal-lighthouse-") as folder:
        path = Path(folder) / "report.json"
        command = [
            *("node", str(PROGRAM), url, "--quiet", "--output=json", f"--output-path={path}"),
            f"--only-categories={','.join(LEAST)}",
            f"--chrome-flags={' '.join(FLAGS)}",
        ]
        environment = os.environ | {"CHROME_PATH": shutil.which("chromium") or "chromium"}
        subprocess.run(command, check=True, env=environment)
        report: dict[str, Any] = json.loads(path.read_text())
        return report


def _faults(report: dict[str, Any], kind: str) -> list[str]:
    audits = (report["audits"][ref["id"]] for ref in report["categories"][kind]["auditRefs"])
    return [
        f"{audit['id']} {audit.get('displayValue', '')}"
        for audit in audits
        if audit["score"] is not None and audit["score"] < 1
    ]


if __name__ == "__main__":
    main()
