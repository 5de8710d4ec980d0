"""How a route is described: the keyword arguments that its decorator takes beside the path.

    @router.post("", **described({202: ref(Charge)}, refuses=(409,)))

`api.description.openapi` turns these, and the schemas of `api.description`, into the document.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from api import answers
from api.description.models import name_of
from api.description.refusal_docs import ALWAYS, header, refusal
from infra.billing.contract.objects import Resource

Schema = Mapping[str, Any]

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your name for this request: a repeat under it is the same object, for"
    " ever. Made for you if you send none, which protects nothing when an answer gets lost.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        # Spaces at its ends are not part of a header's value (RFC 9110, section 5.5).
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
    "example": "order-1001-charge",
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N` waits up to N seconds (30 at most) for a final state (RFC 7240).",
    "schema": {"type": "string"},
    "example": "wait=10",
}
_OF_WHAT_IS_MADE = ("X-Request-Id", "Location")
_AS_THEY_ARE: Mapping[int, Any] = {}


def described(
    good: Mapping[int, Schema],
    *,
    refuses: Sequence[int] = (),
    shows: Mapping[int, Any] = _AS_THEY_ARE,
    is_made: bool = False,
) -> dict[str, Any]:
    """Arguments for a route's decorator.

    `good` are the schemas of good answers by status; `refuses` the statuses beside ALWAYS; `shows`
    what an example says otherwise than its schema, by status, as `examples.filled_in` takes it.
    With `is_made` an answer says where the object is read.
    """
    refused = sorted({*ALWAYS, *refuses})
    responses = {status: answer(status, schema) for status, schema in good.items()}
    for status, shown in shows.items():
        responses[status]["content"][answers.MEDIA_TYPE]["example"] = shown
    if is_made:
        for status in good:
            responses[status]["headers"] = {name: header(name) for name in _OF_WHAT_IS_MADE}
    responses |= {status: refusal(status) for status in refused}
    return {
        "status_code": max(good),
        "responses": responses,
        "response_class": Response,
    }


def ref(kind: type[Resource] | str) -> Schema:
    """The schema of a public object, or the one of this name."""
    name = kind if isinstance(kind, str) else name_of(kind)
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(**fields: Schema) -> Schema:
    """An object that has all of these fields."""
    return {"type": "object", "required": [*fields], "properties": fields}


def page_of(kind: type[Resource]) -> Schema:
    """A page of a list of them."""
    return object_of(
        data={"type": "array", "items": ref(kind)},
        has_more={"type": "boolean"},
        next_cursor={
            "type": ["string", "null"],
            "description": "Send it as `cursor` to get the next page; null at the end.",
            "examples": [None],
        },
    )


def listing_of(kind: type[Resource]) -> Schema:
    """A part of a list of them that is counted."""
    return object_of(
        count={
            "type": "integer",
            "minimum": 0,
            "description": "How many there are of all.",
            "examples": [1],
        },
        list={"type": "array", "items": ref(kind)},
        next_cursor={
            "type": ["string", "null"],
            "description": "Send it as `cursor` to get the next page; null at the end.",
            "examples": [None],
        },
    )


def answer(status: int, schema: Schema) -> dict[str, Any]:
    """A good answer; an empty schema is an empty body."""
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema:
        told["content"] = {answers.MEDIA_TYPE: {"schema": schema}}
    return told
