"""20,000 requests of schemathesis: no 5xx, and no answer that the OpenAPI document doesn't know."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.conf import LazySettings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase
from pytest_django import DjangoDbBlocker
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from builds.api.views import api
from builds.choices import BuildStatus
from builds.models import Build, Release
from builds.tests.fuzz.authorized import headers_for
from builds.tests.shown.rows import rows_in_every_state
from portal.wsgi import application

CASES = 20_000
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
FOUND: list[Any] = [found.ok() for found in SCHEMA.get_all_operations()]  # type: ignore[union-attr]
OPERATIONS = {operation.label: operation for operation in FOUND}
# Where there is nothing to fill in, nothing can be filled in wrongly.
KINDS = [
    (label, mode)
    for label, operation in OPERATIONS.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE
    or operation.definition.raw.get("parameters")
    or operation.definition.raw.get("requestBody")
]
# Half of what is asked fits the document, half does not.
EACH = ceil(CASES / len(KINDS))


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Any]]:
    """Rows in every state, made once for all operations; parameters that name some of them."""
    with django_db_blocker.unblock():
        outer = transaction.atomic()
        outer.__enter__()
        rows_in_every_state(timezone.now())
        # A stream of what still runs ends only when that does.
        Build.objects.active().update(
            status=BuildStatus.CANCELLED, finished_at=timezone.now(), lease_until=None
        )
        release = Release.objects.published().select_related("channel")[0]
        yield {
            "channel": release.channel.name,
            "system": release.system,
            "version": release.version,
            "build_id": Build.objects.succeeded()[0].pk,
            "release_id": release.pk,
        }
        transaction.set_rollback(True)
        outer.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _no_limits(settings: LazySettings) -> None:
    """One token asks thousands of times here."""
    settings.TOKEN_RATE = settings.QUEUE_MOST = 10**9


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("label", "mode"), KINDS)
def test_every_answer_is_one_that_the_document_knows(
    db: None, rows: dict[str, Any], label: str, mode: GenerationMode
) -> None:
    operation = OPERATIONS[label]
    headers = headers_for(operation.definition.raw)
    asked = 0

    @hypothesis.seed(20_000)
    @hypothesis.settings(
        max_examples=EACH,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        nonlocal asked
        asked += 1
        _settle(case, rows if asked % 2 else {})
        with transaction.atomic():
            response = case.call(headers=headers)
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)

    ask()
    # Where there is less to ask, such as an address without parameters, it is asked less.
    assert asked >= 1


def test_document_has_examples_of_all_and_ids_and_tags() -> None:
    document = api.get_openapi_schema()
    ids = []
    for path in document["paths"].values():
        for operation in path.values():
            ids.append(operation["operationId"])
            assert operation["tags"], operation
            for status, answer in operation["responses"].items():
                for media in answer.get("content", {}).values():
                    assert "example" in media, (operation["operationId"], status)
    assert len(ids) == len(set(ids))


def _settle(case: schemathesis.Case[Any], rows: dict[str, Any]) -> None:
    """Let a request be about rows that are there: names that nobody has are soon answered.

    A stream of events reads outside of this transaction, so here it is asked for what follows its
    end; builds/tests/logs reads real ones.
    """
    known = {name: rows[name] for name in case.path_parameters if name in rows}
    case.path_parameters.update(known)
    if case.path.endswith("/events"):
        if known:
            case.query = {"after": 1_000_000}
        elif isinstance(case.path_parameters.get("build_id"), int):
            case.path_parameters["build_id"] += 1_000_000
