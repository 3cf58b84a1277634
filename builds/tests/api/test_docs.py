"""The curl lines of docs/api.md, run as they are written there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from django.conf import settings

from builds.api.views import api
from builds.tests.factories import NOW, ReleaseFactory
from builds.tests.webs import MakeWeb

DOCS = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text()
OWN = "PORTAL=http://127.0.0.1:8000"


def test_lines_of_the_documentation_run_as_pasted(make_web: MakeWeb) -> None:
    ReleaseFactory(channel__name="demo", published=True, at=NOW.replace(hour=3))
    web = make_web()
    lines = "".join(re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL))
    assert OWN in lines
    script = "set -e\n" + lines.replace(OWN, f"PORTAL={web.url}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "304\n" in done.stdout
    assert '"status": 422' in done.stdout


def test_documentation_names_every_address() -> None:
    for path in api.get_openapi_schema()["paths"]:
        if "get" in api.get_openapi_schema()["paths"][path]:
            words = re.sub(r"\{(\w+?)(_id)?\}", "", path.removeprefix("/api/v1/"))
            assert words.split("/")[0] in DOCS, path
