"""Answers with objects: compact JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/json"


def one(
    view: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An object."""
    return Response(encode(view), status, headers, MEDIA_TYPE)


def page(views: Sequence[Mapping[str, Any]], *, next_cursor: str | None) -> Response:
    """A page of a list, and where the next one begins."""
    return one({"data": views, "has_more": next_cursor is not None, "next_cursor": next_cursor})


def listing(count: int, views: Sequence[Mapping[str, Any]], *, next_cursor: str | None) -> Response:
    """A part of a list, with the count of the whole."""
    return one({"count": count, "list": views, "next_cursor": next_cursor})


# Kept, as `json.dumps` creates a new encoder for every answer.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
