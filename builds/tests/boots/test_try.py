from __future__ import annotations
import os, time
from pathlib import Path
import pytest
from builds.choices import *
from builds.pipeline.checks import CHECKS, applies
from builds.tests.boots.drafts import *
from builds.storage import artifacts
pytestmark = pytest.mark.django_db
VARS = [Variant(v) for v in os.environ.get("VARS", "netboot kexec-installer").split()]

@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("system", System)
def test_it(system: System, name: str) -> None:
    if not applies(name, system, VARS):
        pytest.skip("n/a")
    settle = Build
    r = draft(system, {v: build_image(system, v) for v in VARS})
    t = time.monotonic()
    c = checked(r, name)
    print("\n@@", system, name, c.verdict, c.seconds, round(time.monotonic()-t,1), c.reason, c.memory)
    Path(f"/tmp/boots/{system}-{name}.log").write_text(c.console)
    assert c.has_passed, c.reason + c.console[-1500:]
