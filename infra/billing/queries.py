"""The arguments of everything but charges and refunds: the checks that run before it is sent."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from infra.billing.contract import endpoints
from infra.billing.contract.limits import (
    LIMIT_MAX,
    PAGE_MAX,
)
from infra.billing.errors import InvalidRequest
from infra.billing.fields import checked, flag, rfc3339, text, without_card_data, wrong

ORDERS = ("desc", "asc")  # by when it was made
_TIMES = ("created_after", "created_before", "since", "until")


def id_of(value: object) -> str:
    """An id as a segment of a path. Raises InvalidRequest, as all of these do."""
    id_ = text("id", value)
    if id_ in (".", ".."):
        raise InvalidRequest("id must be an id", param="id")  # a path would lead elsewhere
    return id_


def price_name(value: object) -> str:
    """The id or the lookup key of a price, likewise."""
    return _without_slash(value, "that of a price, or its lookup key")


def product_id(value: object) -> str:
    """The id of a product, likewise."""
    return _without_slash(value, "that of a product")


def currency_id(value: object) -> str:
    """The id of a currency, likewise."""
    return _without_slash(value, "that of a currency, like cur_usd")


def seconds(param: str, value: object) -> float:
    """A length of time: a number of seconds, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{param} must be a number of seconds", param=param)
    if not 0 <= value < math.inf:
        raise InvalidRequest(f"{param} must be 0 or more seconds", param=param)
    return value


def whole(param: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """A whole number, `least` or more, and at most `most`."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        bounds = f", {least} or more" if most is None else f" from {least} to {most}"
        raise InvalidRequest(f"{param} must be a whole number{bounds}", param=param)
    return value  # type: ignore[return-value]


def position(param: str, value: object) -> str:
    """A place in the feed: a whole number, or the text of one."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return value
    return str(whole(param, value))


def filters(*, limit: object = None, **given: object) -> Mapping[str, Any]:
    """The query of a list: what is given, with times as RFC 3339."""
    query: dict[str, Any] = {
        name: _moment(name, value) if name in _TIMES else text(name, value, length_max=1000)
        for name, value in given.items()
        if value is not None
    }
    if limit is not None:
        query["limit"] = _part_size("limit", limit)
    return query


def listing(
    *,
    page: object,
    page_size: object,
    order: object,
    cursor: object,
    active: object = None,
    **given: object,
) -> Mapping[str, Any]:
    """The query of a counted list, in the names of the service."""
    if page is not None and cursor is not None:
        raise InvalidRequest("send page or cursor, not both", param="page")
    if order is not None and order not in ORDERS:
        raise InvalidRequest("order must be 'desc' or 'asc'", param="order")
    query = dict(filters(**given, cursor=cursor))
    if flag("active", active) is not None:
        query["active"] = "true" if active else "false"
    if page is not None:
        query["page"] = whole("page", page, least=1, most=PAGE_MAX)
    if page_size is not None:
        query["pageSize"] = _part_size("page_size", page_size)
    return query if order is None else {**query, "order": order}


def endpoint_fields(
    *,
    url: object = None,
    event_types: object = None,
    description: object = None,
    max_in_flight: object = None,
    state: object = None,
    producer: object = None,
) -> Mapping[str, Any]:
    """The fields of a webhook endpoint; absent ones left out."""
    if state not in (None, "enabled", "disabled"):
        raise InvalidRequest("state must be 'enabled' or 'disabled'", param="state")
    fields = {
        "url": None if url is None else _url(url),
        "event_types": None
        if event_types is None
        else _texts("event_types", event_types, 'types, like ["charge.succeeded"]'),
        "description": None if description is None else checked(endpoints.description, description),
        "max_in_flight": None
        if max_in_flight is None
        else checked(endpoints.max_in_flight, max_in_flight),
        "state": state,
        "producer": None if producer is None else text("producer", producer, length_max=64),
    }
    return {name: value for name, value in fields.items() if value is not None}


def replay_fields(
    *, event_ids: object, since: object, until: object, only: object, after: object
) -> Mapping[str, Any]:
    """What to send again: events by their ids, or those of a time."""
    if event_ids is None and since is None:
        raise InvalidRequest("send event_ids, or since and perhaps until", param="event_ids")
    if event_ids is not None and since is not None:
        raise InvalidRequest("send event_ids or since, not both", param="since")
    if only not in (None, "undelivered", "all"):
        raise InvalidRequest("only must be 'undelivered' or 'all'", param="only")
    fields = {
        "event_ids": None if event_ids is None else checked(endpoints.event_ids, event_ids),
        "since": None if since is None else _moment("since", since),
        "until": None if until is None else _moment("until", until),
        "only": only,
        "after": None if after is None else _next_after(after),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _without_slash(value: object, whose: str) -> str:
    id_ = text("id", value)
    # The service gives none such, and servers and proxies read a slash in their own ways: nobody
    # would say that there is nothing with this id.
    if "/" in id_ or id_ in (".", ".."):
        raise InvalidRequest(
            f"id must be {whose}: it must hold no slash, and be more than dots", param="id"
        )
    return id_


def _part_size(param: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LIMIT_MAX:
        raise wrong(param, "whole_number", least=1, most=LIMIT_MAX)
    return value


def _url(value: object) -> str:
    url = checked(endpoints.url, value)
    without_card_data("url", url)
    return url


def _texts(param: str, value: object, like: str) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidRequest(f"{param} must be a list of {like}", param=param)
    return [text(param, one) for one in value]


def _next_after(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidRequest("after must be the next_after of the call before", param="after")
    return value


def overlap(value: object) -> int:
    """For how long the secret before signs, too: whole seconds, a week at most."""
    return checked(endpoints.overlap_s, value)


def _moment(param: str, value: object) -> str:
    """RFC 3339 in UTC. A datetime without a zone is refused: it is another moment everywhere."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise wrong(param, "moment")
        return rfc3339(value.astimezone(UTC))
    if isinstance(value, str):
        return text(param, value)
    raise wrong(param, "moment")
