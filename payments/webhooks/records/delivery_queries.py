"""Reading deliveries: one with its attempts, or an endpoint's page by page, newest first.

With `after_sequence` they come in the order of their numbers, which have no gap: so a receiver can
find out which ones it lacks.

A caller that sees an endpoint sees its deliveries, also after it is deleted: they are history.

A list by state is one walk of the index; a list of all states merges one walk per state. The type
of the event is in no index: a page by type looks at LOOKED_AT_MAX deliveries and may end early, or
be empty, with a cursor after those. A row that is committed late may belong on a page that was read
already. Services that must not miss a fact use the feed; this is for looking things up.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, get_args

from sqlalchemy import Connection, Select, Subquery, and_, func, literal, select, union_all

from infra.billing.contract import ids
from infra.billing.contract.event_types import TYPES
from infra.billing.contract.ids import DELIVERY_PREFIX, is_id
from infra.billing.contract.limits import ATTEMPTS_SHOWN_MAX, LIMIT_MAX
from infra.billing.contract.objects import Delivery as Shown
from infra.billing.contract.objects import DeliveryAttempt as ShownAttempt
from infra.billing.contract.words import DeliveryState
from models import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from models.base import table_of
from models.rows import DeliveryRow, EndpointRow, PostRow
from payments import cursors
from payments.access.scopes import OPERATOR, Access
from payments.paging import Page, walk
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import first, read
from payments.views import View, view_of

FILTERS = ("state", "event_type", "event_id", "since", "until", "after_sequence")
STATES: tuple[str, ...] = get_args(DeliveryState)
# Each costs a probe of its event: some ten milliseconds for all.
LOOKED_AT_MAX = 2_000

view: View = view_of(Shown, id=lambda row: ids.delivery_id(row.id), attempt_count="attempts")
_attempt_view: View = view_of(ShownAttempt)


class Place(NamedTuple):
    """The place of a delivery in a list, for `payments.cursors`."""

    id: str
    created_at: datetime


def get(connection: Connection, id_: str, *, access: Access = OPERATOR) -> DeliveryRow:
    """The delivery with this id. Raises NotFound, also for what `access` doesn't see."""
    number = ids.delivery_number(id_)
    row = None if number is None else first(connection, DeliveryRow, _one(number))
    if row is None or not access.sees(row.endpoint_producer):
        raise NotFound("there is no delivery with this id", param="id")
    return row


def with_attempts(connection: Connection, id_: str, *, access: Access = OPERATOR) -> dict[str, Any]:
    """The public delivery with its last attempts, in their order. Raises NotFound."""
    row = get(connection, id_, access=access)
    last = (
        select(_posts)
        .where(_posts.c.delivery_id == row.id)
        .order_by(_posts.c.number.desc())
        .limit(ATTEMPTS_SHOWN_MAX)
    )
    attempts = read(connection, PostRow, last)
    return {**view(row), "attempts": [_attempt_view(one) for one in reversed(attempts)]}


def page(
    connection: Connection,
    endpoint_id: str,
    *,
    filters: Mapping[str, Any] | None = None,
    limit: int = 20,
    cursor: str | None = None,
    access: Access = OPERATOR,
) -> Page[DeliveryRow]:
    """Up to `limit` (1 to 100) deliveries to an endpoint, newest first, or by their numbers, from
    `cursor` on.

    `filters`: those of FILTERS; `since` (inclusive) and `until` (exclusive) are about when a
    delivery was created. Raises InvalidRequest, and NotFound for an endpoint that `access` doesn't
    see.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidRequest(f"limit must be from 1 to {LIMIT_MAX}, not {limit}", param="limit")
    filters = {name: value for name, value in (filters or {}).items() if value is not None}
    _check(filters)
    _require_endpoint(connection, endpoint_id, access)
    of_list = {"endpoint_id": endpoint_id, **filters}
    event_type = filters.get("event_type")
    # One more than asked for shows whether there is a next page. The index by number has no states,
    # and no index has types: those are filtered from the rows walked.
    state = filters.get("state") if "after_sequence" in filters else None
    is_chosen = event_type is not None or state is not None
    looked_at = LOOKED_AT_MAX if is_chosen else limit + 1
    walked = _walked(endpoint_id, filters, _behind(cursor, of_list), looked_at)
    order = _order(walked, filters)
    rows = read(connection, DeliveryRow, _of(walked, event_type, order, state).limit(limit + 1))
    end: Place | None = None
    if len(rows) > limit:
        end = _place(rows[limit - 1])
    elif is_chosen:
        end = _last_of(connection, walked, order, looked_at)
    return Page(rows[:limit], cursors.after(end, filters=of_list) if end else None)


def every(
    connection: Connection, endpoint_id: str, *, filters: Mapping[str, Any]
) -> Iterator[DeliveryRow]:
    """All rows, newest first, as `page` reads them; never more than a page of them in memory."""

    def read_page(cursor: str | None) -> Page[DeliveryRow]:
        return page(connection, endpoint_id, filters=filters, limit=LIMIT_MAX, cursor=cursor)

    return walk(read_page)


def _place(row: DeliveryRow) -> Place:
    return Place(ids.delivery_id(row.id), row.created_at)


def _behind(cursor: str | None, of_list: Mapping[str, Any]) -> Any:
    """What comes after the cursor, as SQL; None without one."""
    if cursor is None:
        return None
    at, id_ = cursors.place(cursor, prefix=DELIVERY_PREFIX, filters=of_list)
    number = ids.delivery_number(id_) or 0
    if "after_sequence" in of_list:
        last = select(_t.c.sequence).where(_t.c.id == number).scalar_subquery()
        # If the cursor's row is past its retention, from the beginning: rows may come twice, but
        # none is missed.
        return _t.c.sequence > func.coalesce(last, of_list["after_sequence"])
    return cursors.behind_place(_t, at, number)


def _walked(endpoint_id: str, filters: Mapping[str, Any], behind: Any, count: int) -> Subquery:
    """The next `count` deliveries of the list, whatever their types."""
    conditions = [_t.c.endpoint_id == endpoint_id]
    if "event_id" in filters:
        conditions.append(_t.c.event_id == filters["event_id"])
    if "since" in filters:
        conditions.append(_t.c.created_at >= filters["since"])
    if "until" in filters:
        conditions.append(_t.c.created_at < filters["until"])
    if behind is not None:
        conditions.append(behind)
    if "after_sequence" in filters:
        conditions.append(_t.c.sequence > filters["after_sequence"])
        by_number = select(_t).where(*conditions).order_by(_t.c.sequence)
        return by_number.limit(count).subquery("walked")
    states = [filters["state"]] if "state" in filters else STATES
    walks = [
        # To match `deliveries_listed_idx`.
        select(_t)
        .where(func.upper(_t.c.state) == literal(state.upper(), literal_execute=True), *conditions)
        .order_by(*cursors.ordered(_t))
        .limit(count)
        .subquery()
        for state in states
    ]
    merged = union_all(*(walk.select() for walk in walks)).subquery()
    return select(merged).order_by(*_order(merged, filters)).limit(count).subquery("walked")


def _order(walked: Subquery, filters: Mapping[str, Any]) -> Sequence[Any]:
    """The columns that order the list."""
    if "after_sequence" in filters:
        return (walked.c.sequence,)
    return (walked.c.created_at.desc(), walked.c.id.desc())


def _last_of(
    connection: Connection, walked: Subquery, order: Sequence[Any], count: int
) -> Place | None:
    """Where the walk ended, if there are more rows after it."""
    last = select(walked).order_by(*order).offset(count - 1)
    row = first(connection, DeliveryRow, last)
    return None if row is None else _place(row)


def _one(number: int) -> Select[Any]:
    return _of(select(_t).where(_t.c.id == number).subquery("walked"))


def _of(
    walked: Any,
    event_type: str | None = None,
    order: Sequence[Any] = (),
    state: str | None = None,
) -> Select[Any]:
    """These deliveries with fields of their event, endpoint and last attempt, in this order."""
    last = and_(_posts.c.delivery_id == walked.c.id, _posts.c.number == walked.c.attempts)
    statement = (
        select(
            walked,
            _events.c.type.label("event_type"),
            _endpoints.c.url,
            _endpoints.c.state.label("endpoint_state"),
            _endpoints.c.producer.label("endpoint_producer"),
            _posts.c.status_code,
            _posts.c.error,
        )
        .join_from(walked, _events, _events.c.id == walked.c.event_id)
        .join(_endpoints, _endpoints.c.id == walked.c.endpoint_id)
        .outerjoin(_posts, last)
        .order_by(*order)
    )
    if event_type is not None:
        statement = statement.where(_events.c.type == event_type)
    return statement if state is None else statement.where(walked.c.state == state)


def _require_endpoint(connection: Connection, endpoint_id: str, access: Access) -> None:
    """Raise NotFound, with the words of `payments.webhooks.endpoints`."""
    if is_id(endpoint_id, "we_"):
        sees = access.sees_where(_endpoints.c.producer)
        wanted = select(_endpoints).where(_endpoints.c.id == endpoint_id, sees)
        if first(connection, EndpointRow, wanted) is not None:
            return
    raise NotFound("There is no webhook endpoint with this id.", param="endpoint_id")


def _check(filters: Mapping[str, Any]) -> None:
    for name, value in filters.items():
        if name not in FILTERS:
            fields = ", ".join(FILTERS)
            raise InvalidRequest(f"{name} is not a filter; the filters are: {fields}", param=name)
        if name == "state" and value not in STATES:
            raise InvalidRequest(f"state must be one of {', '.join(STATES)}", param=name)
        if name == "event_type" and value not in TYPES:
            raise InvalidRequest("event_type must be a type of events", param=name)
        if name == "after_sequence" and not (isinstance(value, int) and 0 <= value < 2**63):
            raise InvalidRequest("after_sequence must be a number that was sent, or 0", param=name)
        if name == "event_id" and not is_id(value, "evt_"):
            raise InvalidRequest("event_id must be the id of an event (evt_…)", param=name)


_t, _posts, _events, _endpoints = (
    table_of(t) for t in (Delivery, DeliveryAttempt, Event, WebhookEndpoint)
)
