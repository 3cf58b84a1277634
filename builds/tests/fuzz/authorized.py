"""Who asks: the one place that knows how an operation wants to be authorised."""

from __future__ import annotations

from typing import Any

from builds.tests.tokens.conftest import new_token

Headers = dict[str, str]


def headers_for(operation: dict[str, Any]) -> Headers:
    """What goes with each request of an operation of the document, inside a test's transaction.

    Where an operation says `security` that is the header of a token that may do all.
    """
    if not operation.get("security"):
        return {}
    _, text = new_token()
    return {"Authorization": f"Bearer {text}"}
