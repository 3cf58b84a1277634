"""Pages of rows in every state: few queries, whatever there is to tell."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.tests.shown.rows import rows_in_every_state
from builds.tests.web.test_many import MOST_QUERIES

pytestmark = pytest.mark.django_db


def test_page_of_every_state_takes_at_most_ten_queries(client: Client) -> None:
    counts = {}
    for path in rows_in_every_state(timezone.now()).values():
        with CaptureQueriesContext(connection) as queries:
            client.get(path)
        counts[path] = [query["sql"][:200] for query in queries]
    assert {path: done for path, done in counts.items() if len(done) > MOST_QUERIES} == {}
