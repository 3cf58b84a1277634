"""JSON Schema (draft 2020-12) of the files that stand beside each release, and their addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from builds.boot.addresses import base_url
from builds.feeds.answers import answer, as_json, for_programs, missing

MEDIA_TYPE = "application/schema+json"
_FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@for_programs
def schema(request: HttpRequest, name: str) -> HttpResponseBase:
    """One schema, which names itself by its address."""
    if name not in NAMES:
        return missing(f"There is no schema {name}. Schemas: {', '.join(NAMES)}.")
    own = f"{base_url(request)}{reverse('schema', args=[name])}"
    return answer(request, as_json(read(name, own)), MEDIA_TYPE)


def read(name: str, own: str) -> dict[str, Any]:
    """A schema whose address is `own`."""
    record: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return {"$schema": record.pop("$schema"), "$id": own, **record}
