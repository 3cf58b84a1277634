"""The OpenAPI document: what ninja makes of the operations, with examples and all that is sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from builds.api.problems import CONTENT_TYPE

Document = dict[str, Any]
JSON = "application/json"
# An example for what has none of its own.
BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": False}
SAID = {
    400: "There is a NUL byte in this address.",
    401: "This wants an API token: send it as “Authorization: Bearer …”.",
    403: "The token may not do this.",
    404: "There is no channel demp. Channels: demo, nixos-26.05.",
    409: "demo 26.05.20260820.b18a4b9 x86_64-linux is withdrawn; nothing was done.",
    412: "It has changed since: read it again.",
    422: "limit: Input should be less than or equal to 100",
    429: "This token has asked too often; ask again in 12 s.",
    503: "Too many watch already; ask for lines now and then instead.",
}
CONDITION = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "schema": {"type": "string", "pattern": r"^(W/)?\"[!#-~]*\"$"},
    "description": "the ETag that you have; 304 says that it is the present one",
    "example": '"0c7kgpz0f7cqn9d5"',
}


# For an operation's `openapi_extra`: nobody keeps what it answers.
UNCACHED: Document = {"x-uncached": True}


def sent(kind: str, said: str) -> Document:
    """For an operation's `openapi_extra`: it answers a text of this kind, such as `said`."""
    content = {kind: {"schema": {"type": "string"}, "example": said}}
    return {"responses": {200: {"description": "OK", "content": content}}}


def finish(document: Document) -> Document:
    """Add to ninja's document what ninja can't know; it is changed in place."""
    schemas = document["components"]["schemas"]
    for path in document["paths"].values():
        for method, operation in path.items():
            if method == "get":
                _add_condition(operation)
            _add_answer(operation, 400)
            _finish_answers(operation["responses"], schemas)
            _finish_asked(operation, schemas)
    return document


def _add_condition(operation: Document) -> None:
    """What holds for every JSON that may be kept."""
    answer = operation["responses"].get(200, {})
    if JSON in answer.get("content", {}) and not operation.pop("x-uncached", False):
        operation["parameters"].append(CONDITION)
        operation["responses"][304] = {"description": "You have it."}


def _add_answer(operation: Document, status: int) -> None:
    schema = {"$ref": "#/components/schemas/ProblemShape"}
    answer = {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}
    operation["responses"].setdefault(status, answer)


def _finish_answers(answers: Document, schemas: Document) -> None:
    for status in list(answers):
        answer = answers.pop(status)
        content = answer.get("content", {})
        if int(status) >= HTTPStatus.BAD_REQUEST and JSON in content:
            content = {CONTENT_TYPE: content[JSON] | {"example": _problem(int(status))}}
        for kind, media in content.items():
            if kind == JSON:
                media.setdefault("example", example(media["schema"], schemas))
        answers[str(status)] = answer | ({"content": content} if content else {})


def _problem(status: int) -> Document:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": SAID.get(status, HTTPStatus(status).description),
        "instance": "/api/v1/…",
    }


def _finish_asked(operation: Document, schemas: Document) -> None:
    for parameter in operation["parameters"]:
        # OpenAPI wants a map of named examples where JSON Schema has a list of values.
        given = parameter.pop("examples", None)
        if isinstance(given, list):
            parameter["example"] = given[0]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        media.setdefault("example", example(media["schema"], schemas))


def example(schema: Document, schemas: Document) -> Any:
    """A value that fits a schema, of the examples that its parts have."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if given := schema.get("examples") or schema.get("enum"):
        return given[0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas)
    if "default" in schema:
        return schema["default"]
    return _made(schema, schemas)


def _made(schema: Document, schemas: Document) -> Any:
    if "properties" in schema:
        return {name: example(each, schemas) for name, each in schema["properties"].items()}
    if "items" in schema:
        return [example(schema["items"], schemas)]
    return {} if schema.get("type") == "object" else BY_TYPE.get(schema.get("type", ""))
