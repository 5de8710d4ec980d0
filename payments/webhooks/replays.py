"""A replay: events are sent to an endpoint again, or for the first time, under their own ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, DateTime, String, and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from infra.billing.contract import endpoints as rules
from infra.billing.contract.ids import is_id
from models import Delivery, Event, WebhookEndpoint
from models.base import table_of
from payments.access.scopes import OPERATOR, Access, may_be_told_where
from payments.errors import EndpointDisabled, InvalidRequest
from payments.parsing import refusing
from payments.transaction import Transaction
from payments.webhooks.endpoints import locked
from payments.webhooks.events import is_asked_for

# Of one call: its statement takes about a second, in which the endpoint's drainer waits.
EVENTS_MAX = 10_000
UNDELIVERED, ALL = "undelivered", "all"
# Events are numbered when they are written, and dated when their transaction began: by so much
# the two orders may differ. No transaction of ours lives half as long.
DISORDER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many events are sent again. With `has_more`, call again with `after=next_after`."""

    count: int
    has_more: bool = False
    next_after: int = 0


def replay(
    transaction: Transaction,
    endpoint_id: str,
    *,
    event_ids: object = None,
    since: datetime | None = None,
    until: datetime | None = None,
    only: object = UNDELIVERED,
    after: int = 0,
    limit: int = EVENTS_MAX,
    access: Access = OPERATOR,
) -> Replayed:
    """Send events to the endpoint at once, with the retries of new ones.

    Either exactly those with the given ids (up to EVENT_IDS_MAX), whatever became of them; or those
    created from `since` on and before `until` that it asks for by its present event types, also
    from before it was there: `only` "undelivered" ones (never sent, given up, or still waiting) or
    "all". What an endpoint may not be told (`payments.access.scopes`) counts as not there, whoever
    asks. In the order in which they happened, up to `limit` (at most EVENTS_MAX) in one call.

    Raises InvalidRequest, NotFound, EndpointDisabled.
    """
    if (event_ids is None) == (since is None):
        raise InvalidRequest("send event_ids, or since and perhaps until", param="event_ids")
    endpoint = locked(transaction, endpoint_id, access=access)
    if endpoint.state != "enabled":
        raise EndpointDisabled(param="endpoint_id")
    if since is None:
        replayed = _send_these(
            transaction, endpoint_id, list(dict.fromkeys(refusing(rules.event_ids, event_ids)))
        )
    else:
        _check_range(since, until, only)
        chosen = {
            "endpoint": endpoint_id,
            "since": since,
            "until": until,
            "only_open": only != ALL,
            "after": max(after, _position_before(transaction, since, -DISORDER)),
            "last": until and _position_before(transaction, until, DISORDER),
            "limit": min(limit, EVENTS_MAX),
        }
        range_of = transaction.read(tuple[int, int, int], _SEND_RANGE, chosen)
        ((count, next_after, found),) = range_of
        replayed = Replayed(count, found > count, next_after)
    if replayed.count:
        transaction.wakes.endpoints.add(endpoint_id)
    return replayed


def _send_these(transaction: Transaction, endpoint_id: str, ids: Sequence[str]) -> Replayed:
    known = [id_ for id_ in ids if is_id(id_, "evt_")]
    found = transaction.execute(_SEND_THESE, {"endpoint": endpoint_id, "event_ids": known})
    count = len(found.all())
    if count < len(ids):
        raise InvalidRequest(
            f"{len(ids) - count} of the {len(ids)} event ids are not known; nothing was sent",
            param="event_ids",
        )
    return Replayed(count)


def _position_before(transaction: Transaction, at: datetime, margin: timedelta) -> int:
    """The position of the last event that was created before `at` and a margin; 0 when there is
    none. Right within DISORDER.

    Events have no index on their age: each would cost every charge something, and this bisection
    of an index that is there takes some thirty probes.
    """
    before, behind = 0, transaction.execute(_LAST_POSITION).scalar_one()
    while before < behind:
        middle = (before + behind + 1) // 2
        found = transaction.execute(_AT_OR_BEFORE, {"position": middle}).first()
        if found is None or found.created_at - margin < at:
            before = middle
        else:
            behind = found.position - 1
    return before


def _check_range(since: datetime, until: datetime | None, only: object) -> None:
    for name, value in (("since", since), ("until", until)):
        if value is not None and value.tzinfo is None:
            raise InvalidRequest(
                f"{name} must name its zone, like 2026-11-22T10:00:00Z", param=name
            )
    if only not in (UNDELIVERED, ALL):
        raise InvalidRequest(f"only must be {UNDELIVERED!r} or {ALL!r}", param="only")


# --- The statements, built once ---

_events, _deliveries, _endpoints = (table_of(t) for t in (Event, Delivery, WebhookEndpoint))
_endpoint_given = bindparam("endpoint", type_=String)


def _sending(events: Any) -> Any:
    """Deliveries of these events become as good as new; what has none gets one."""
    statement = insert(_deliveries).from_select(
        ["event_id", "endpoint_id"],
        select(events.c.id, _endpoint_given).order_by(events.c.position),
        include_defaults=False,  # the table's own; the model's come out as NULL
    )
    return statement.on_conflict_do_update(
        index_elements=["event_id", "endpoint_id"],
        set_={
            "state": "pending",
            "next_attempt_at": func.now(),
            "attempts_before": _deliveries.c.attempts,
            "finished_at": None,
        },
    ).returning(_deliveries.c.id)


_LAST_POSITION = select(func.coalesce(func.max(_events.c.position), 0))
_AT_OR_BEFORE = (
    select(_events.c.position, _events.c.created_at)
    .where(_events.c.position <= bindparam("position"))
    .order_by(_events.c.position.desc())
    .limit(1)
)
_SEND_THESE = _sending(
    select(_events.c.id, _events.c.position)
    .join_from(_events, _endpoints, _endpoints.c.id == _endpoint_given)
    .where(
        may_be_told_where(_events.c.producer, _endpoints.c.producer),
        _events.c.id == func.any(bindparam("event_ids", type_=ARRAY(String))),
        # A ping holds the endpoint it was for, and is nobody else's to see.
        or_(_events.c.type != "ping", _events.c.object_id == _endpoint_given),
    )
    .cte("these")
)

_until, _last = (
    bindparam("until", type_=DateTime(timezone=True)),
    bindparam("last", type_=_events.c.position.type),
)
_found = (
    select(_events.c.id, _events.c.position)
    .join_from(_events, _endpoints, _endpoints.c.id == _endpoint_given)
    .outerjoin(
        _deliveries,
        and_(_deliveries.c.event_id == _events.c.id, _deliveries.c.endpoint_id == _endpoint_given),
    )
    .where(
        may_be_told_where(_events.c.producer, _endpoints.c.producer),
        _events.c.position > bindparam("after"),
        or_(_last.is_(None), _events.c.position <= _last),
        _events.c.created_at >= bindparam("since"),
        or_(_until.is_(None), _events.c.created_at < _until),
        or_(
            # A ping is for its own endpoint, whatever that asks for, and for no other.
            and_(_events.c.type == "ping", _events.c.object_id == _endpoint_given),
            and_(
                _events.c.type != "ping",
                # That it was disabled is told to the others.
                or_(_events.c.type != "endpoint.disabled", _events.c.object_id != _endpoint_given),
                is_asked_for(_events.c.type, _endpoints.c.event_types),
            ),
        ),
        or_(
            bindparam("only_open", type_=Boolean).is_(False),
            _deliveries.c.state.is_distinct_from("delivered"),
        ),
    )
    .order_by(_events.c.position)
    .limit(bindparam("limit") + 1)
    .cte("found")
)
_these = select(_found).order_by(_found.c.position).limit(bindparam("limit")).cte("these")
_SEND_RANGE = select(
    func.count().label("count"),
    func.coalesce(func.max(_these.c.position), bindparam("after")).label("next_after"),
    select(func.count()).select_from(_found).scalar_subquery().label("found"),
).add_cte(_sending(_these).cte("sent"))
