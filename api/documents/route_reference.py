"""docs/reference/routes.md: every route of the HTTP API, for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from api.documents.markdown import NOTICE, code, linked, table
from api.documents.object_reference import Schema, type_of
from payments.access import scopes

# What every route may answer is on the page of errors.
OF_ITS_OWN = ("200", "201", "202", "204")


def document(openapi: Mapping[str, Any]) -> str:
    """The page, of the OpenAPI document."""
    return "\n".join(
        [
            "# HTTP routes",
            "",
            "Every route of the HTTP API, with its parameters and answers.",
            "",
            NOTICE,
            "",
            (
                "What they take and answer with: [HTTP objects](objects.md). What holds for all of"
                " them (keys, idempotency, waiting, pages): [HTTP API](http.md). Refusals:"
                " [Errors](errors.md). The same for machines: [openapi.json](openapi.json)."
            ),
            "",
            *_routes(openapi),
        ]
    )


def _routes(openapi: Mapping[str, Any]) -> Iterator[str]:
    for tag in openapi["tags"]:
        found = [
            (method, path, operation)
            for path, operations in openapi["paths"].items()
            for method, operation in operations.items()
            if tag["name"] in operation["tags"]
        ]
        if not found:  # webhooks have a page of their own
            continue
        yield f"## {tag['name']}"
        yield ""
        yield tag["description"]
        yield ""
        for method, path, operation in found:
            yield from _route(method.upper(), path, operation)


def _route(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {operation['summary'].capitalize()}"
    yield ""
    yield f"`{method} {path}`{_scope(operation['operationId'])}"
    yield ""
    if operation.get("deprecated"):
        yield "**Deprecated**: [until when, and what to use instead](deprecations.md#what-ends)."
        yield ""
    yield linked(" ".join(operation.get("description", "").split()))
    yield ""
    if parameters := operation.get("parameters"):
        yield from table(
            ("parameter", "in", "type", "meaning"),
            [
                (
                    code(one["name"]) + (" (required)" if one.get("required") else ""),
                    one["in"],
                    type_of(one["schema"]),
                    one.get("description", ""),
                )
                for one in parameters
            ],
        )
    if body := operation.get("requestBody"):
        yield f"Body: {type_of(_json(body))}{'' if body.get('required') else ' (optional)'}"
        yield ""
    answers = [
        f"{status} {type_of(_json(answer))}"
        for status, answer in sorted(operation["responses"].items())
        if status in OF_ITS_OWN
    ]
    yield f"Answers: {', '.join(answers)}"
    yield ""


def _scope(operation: str) -> str:
    needed = scopes.OPERATIONS.get(operation)
    return f" · scope [`{needed}`](scopes.md)" if needed else " · no key needed"


def _json(body: Mapping[str, Any]) -> Schema:
    content: Mapping[str, Any] = body.get("content", {}).get("application/json", {})
    schema: Schema = content.get("schema", {})
    return schema
