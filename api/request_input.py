"""The input of a request besides its path: its body, its idempotency key, its time to wait."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request

from api.edge.problems import BodyTooLarge, EncodingNotSupported, RequestTimeout
from api.pollers import WAIT_MAX_S
from infra.billing.contract import strict_json
from infra.billing.contract.strict_json import NotStrict
from infra.billing.contract.texts import field_name
from payments.payment_errors import InvalidRequest

# The largest valid request is 50 metadata entries of 500 characters: less than half of this, if
# they are ASCII.
BODY_MAX_BYTES = 64 * 1024
BODY_TIMEOUT_S = 10.0
KEY_HEADER = "idempotency-key"
_QUOTED = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]*)"')
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:$|[,;])', re.IGNORECASE)


async def fields(request: Request) -> dict[str, Any]:
    """The JSON object of the body, with its nulls: null is how many clients say "absent", but an
    unknown name is wrong with any value, null included.

    Raises InvalidRequest, BodyTooLarge, RequestTimeout.
    """
    body = await raw(request)
    try:
        given = strict_json.read(body)
    except NotStrict as wrong:
        raise InvalidRequest(f"in the body {wrong}") from None
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "the body must be one JSON object, with names in double quotes; see /openapi.json"
        ) from None
    if not isinstance(given, dict):
        raise InvalidRequest("the body must be a JSON object of the request's fields")
    return given


def only(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The given fields, if all of them are in `names`. Raises InvalidRequest."""
    for name in given:
        if name not in names:
            param = field_name(name)
            sent = repr(param) if param else "one of the names sent"
            raise InvalidRequest(
                f"{sent} is not a field; the fields are: {', '.join(names)}", param=param
            )
    return {name: value for name, value in given.items() if value is not None}


async def fields_if_any(request: Request) -> dict[str, Any]:
    """Like `fields`; an empty body is an empty object."""
    has_body = {"content-length", "transfer-encoding"} & set(request.headers)
    if not has_body or request.headers.get("content-length") == "0":
        return {}
    return await fields(request)


def with_key(given: Mapping[str, Any], headers: Headers) -> dict[str, Any]:
    """The fields, including the key from the header `Idempotency-Key`.

    The header may be quoted, as in draft-ietf-httpapi-idempotency-key-header, or plain, as most
    clients send it. Raises InvalidRequest if the body has another key.
    """
    values = headers.getlist(KEY_HEADER)
    if not values:
        return dict(given)
    quoted = _QUOTED.fullmatch(values[0])
    key = quoted[1] if quoted else values[0]
    if not key.isascii():  # its encoding is ambiguous, so it could mean two keys
        raise InvalidRequest(
            "the header Idempotency-Key must be ASCII; send such a key as the body's"
            " idempotency_key",
            param="idempotency_key",
        )
    if len(set(values)) > 1:
        raise InvalidRequest(
            "the header Idempotency-Key is there more than once, with different keys; send one",
            param="idempotency_key",
        )
    if given.get("idempotency_key") not in (None, key):
        raise InvalidRequest(
            "the header Idempotency-Key and the body's idempotency_key differ; send one of them",
            param="idempotency_key",
        )
    return {**given, "idempotency_key": key}


async def under_key(request: Request, *, if_any: bool = False) -> dict[str, Any]:
    """The fields of a request that is done once per key, including the key: one is created if it
    has none. With `if_any`, the body may be empty. Raises what `fields` raises."""
    given = await (fields_if_any(request) if if_any else fields(request))
    given = with_key(given, request.headers)
    if "producer" in given:
        raise InvalidRequest(
            "producer is not a field; over HTTP it is the name of the API key", param="producer"
        )
    if given.get("idempotency_key") is None:
        given["idempotency_key"] = str(uuid4())
    return given


def once(query: QueryParams) -> None:
    """Refuse a query with a repeated name: readers differ in which value counts."""
    names = [name for name, _ in query.multi_items()]
    if len(names) > len(set(names)):
        raise InvalidRequest("a name is given twice in the query; send each once")


def wait_s(headers: Headers) -> int:
    """How long the caller would wait for a final state: `Prefer: wait=10` (RFC 7240, 4.3).

    At most WAIT_MAX_S; 0 without it, or if it is unreadable, as a preference may be ignored.
    """
    asked = _WAIT.search(",".join(headers.getlist("prefer")))
    return min(int(asked[1]), WAIT_MAX_S) if asked else 0


async def raw(request: Request) -> bytes:
    """The body as it came. Raises BodyTooLarge, EncodingNotSupported, RequestTimeout."""
    body = bytearray()
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise EncodingNotSupported
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:12]) > BODY_MAX_BYTES:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_MAX_BYTES:
                    raise BodyTooLarge
    except (TimeoutError, ClientDisconnect):
        raise RequestTimeout from None
    return bytes(body)
