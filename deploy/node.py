"""What the tests of the pages need from npm: axe-core and Lighthouse, as deploy/node/ pins them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from deploy.guards import ROOT
from deploy.steps import step
from deploy.supervisor import Supervisor

FOLDER = ROOT / "deploy" / "node"
STAMP = FOLDER / "node_modules" / "installed.sha256"


def install(supervisor: Supervisor, folder: Path) -> None:
    """Install what is pinned, where it has changed; without npm nothing, and its tests fail."""
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if (STAMP.is_file() and STAMP.read_text() == wanted) or not shutil.which("npm"):
        return
    npm = ("npm", "ci", "--no-progress", "--prefix", str(FOLDER))
    step(supervisor, "npm packages", folder / "log" / "npm.log", *npm)
    STAMP.write_text(wanted)
