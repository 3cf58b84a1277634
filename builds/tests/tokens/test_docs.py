"""The page about tokens: its commands run as they are pasted, its tables say what the code says."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest
from django.conf import settings
from django.db.models import Max

from builds.choices import ReleaseStatus, Scope
from builds.models import Build, Release
from builds.tests.factories import BuildFactory, ReleaseFactory
from builds.tests.tokens.conftest import demo, new_token
from builds.tests.webs import MakeWeb

PAGE = (settings.BASE_DIR / "docs" / "tokens.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.django_db(transaction=True)
def test_every_command_runs_as_pasted(make_web: MakeWeb, tmp_path: Any) -> None:
    channel = demo()
    _, text = new_token()
    published = ReleaseFactory(channel=channel, published=True)
    failed = BuildFactory(release=ReleaseFactory(failed=True, queue=False), failed=True)
    waiting = BuildFactory()
    portal = make_web(REDIS_URL=f"redis+socket://{tmp_path}/none.sock").url
    told = {"PORTAL": portal, "TOKEN": text, "PATH": os.environ["PATH"]}

    def run(verb: str, **more: object) -> str:
        [block] = [each for each in BLOCKS if verb in each]
        values = told | {name: str(value) for name, value in more.items()}
        done = subprocess.run(
            ["sh", "-eu", "-c", block], env=values, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first, again = run('"force": true'), run('"force": true')
    assert first == again
    draft = Release.objects.get(channel=channel, status=ReleaseStatus.DRAFT)
    assert f'"id":{draft.pk}' in run("releases/drafts/", RELEASE=draft.pk)
    assert '"status":"cancelled"' in run("/cancel/", BUILD=waiting.pk)
    assert '"attempt":2' in run("/retry/", BUILD=failed.pk)
    assert '"status":"published"' in run("/publish/", VERSION=published.version)
    assert '"status":"withdrawn"' in run("/withdraw/", VERSION=published.version)
    assert Build.objects.get(pk=waiting.pk).error == "The branch is broken."
    assert Build.objects.aggregate(most=Max("attempt"))["most"] == 2
    assert len(BLOCKS) == 6


def test_page_names_every_scope_and_every_setting() -> None:
    scopes = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert scopes == [scope.value for scope in Scope]
    for name in ("TOKEN_DAYS", "TOKEN_DAYS_MOST", "TOKEN_RATE", "QUEUE_MOST"):
        value = getattr(settings, name)
        assert f"`{name}` ({value})" in PAGE
