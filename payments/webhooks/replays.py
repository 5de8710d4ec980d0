"""A replay: events are sent to an endpoint again, or for the first time, under their own ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    DateTime,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from infra.billing.contract import endpoint_checks as rules
from infra.billing.contract.event_types import TO_OTHERS
from infra.billing.contract.ids import is_id
from infra.billing.contract.words import ReplayOf
from models import Delivery, Event, WebhookEndpoint
from models.base import table_of
from models.rows import DeliveryRow
from payments.access import audit_log
from payments.access.scopes import OPERATOR, Access, may_be_told_where
from payments.parsing import refusing
from payments.payment_errors import EndpointDisabled, InvalidRequest
from payments.transaction import Transaction
from payments.views import moment
from payments.webhooks.endpoints import locked
from payments.webhooks.outbox import is_asked_for
from payments.webhooks.pacing.troubles import probe
from payments.webhooks.positions import DISORDER, Positions
from payments.webhooks.records import delivery_queries

# Per call: its statement takes about a second, during which the endpoint's drainer waits.
EVENTS_MAX = 10_000
# How many events one call checks: a second's work, too.
LOOKED_AT_MAX = 50_000
POSITION_MAX = 2**63 - 1
UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many events are sent again. If `has_more`, call again with `after=next_after`."""

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
    """Send events to the endpoint, after new ones, with the retries of new ones.

    Either exactly those with the given ids (up to EVENT_IDS_MAX), whatever their state; or those
    created from `since` on and before `until` that match its present event types, also from before
    it existed: `only` "failed", "missed" (never to be sent), "undelivered" or "all" ones. Events
    that the endpoint may not see (`payments.access.scopes`) count as not there for every caller. In
    the order in which they happened, up to `limit` (at most EVENTS_MAX) in one call, which checks
    LOOKED_AT_MAX events and may find none.

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
        after = max(after, _positions.before(transaction, since, -DISORDER))
        last = None if until is None else _positions.before(transaction, until, DISORDER)
        looked_to = min(after + LOOKED_AT_MAX, POSITION_MAX)
        chosen = {
            "endpoint": endpoint_id,
            "since": since,
            "until": until,
            "only": only,
            "after": after,
            "looked_to": looked_to,
            "last": last,
            "limit": min(limit, EVENTS_MAX),
        }
        range_of = transaction.read(tuple[int, int, int, int | None], _SEND_RANGE, chosen)
        ((count, next_after, found, behind),) = range_of
        goes_on = behind is not None and (last is None or behind <= last)
        if found <= count and goes_on:  # every event checked was sent, or need not be
            next_after = looked_to
        replayed = Replayed(count, found > count or goes_on, next_after)
    sent = {"count": replayed.count, "only": None if since is None else only}
    bounds = {"since": moment(since), "until": moment(until)}
    audit_log.record(transaction, "endpoint.replay", endpoint_id, after={**sent, **bounds})
    if replayed.count:
        probe(transaction, endpoint_id)
    return replayed


def retry(transaction: Transaction, delivery_id: str, *, access: Access = OPERATOR) -> DeliveryRow:
    """Post one delivery again at once, whatever its state, with the retries of a new one; returns
    it as it stands then. Raises NotFound, EndpointDisabled."""
    connection = transaction.connection
    was = delivery_queries.get(connection, delivery_id, access=access)
    if was.endpoint_state == "deleted":
        raise EndpointDisabled("Its endpoint was deleted: nothing is sent there.", param="id")
    if locked(transaction, was.endpoint_id, access=access).state != "enabled":
        raise EndpointDisabled(param="id")
    transaction.execute(_RETRY, {"number": was.id})
    probe(transaction, was.endpoint_id, was.id)
    now = delivery_queries.get(connection, delivery_id, access=access)
    before, after = ({"state": row.state, "trigger": row.trigger} for row in (was, now))
    audit_log.record(transaction, "delivery.retry", delivery_id, before=before, after=after)
    return now


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


def _check_range(since: datetime, until: datetime | None, only: object) -> None:
    for name, value in (("since", since), ("until", until)):
        if value is not None and value.tzinfo is None:
            raise InvalidRequest(
                f"{name} must name its zone, like 2026-11-22T10:00:00Z", param=name
            )
    if only not in get_args(ReplayOf):
        named = ", ".join(repr(name) for name in get_args(ReplayOf))
        raise InvalidRequest(f"only must be one of {named}", param="only")


# --- The statements, built once ---

_events, _deliveries, _endpoints = (table_of(t) for t in (Event, Delivery, WebhookEndpoint))
_endpoint_given = bindparam("endpoint", type_=String)


_AS_GOOD_AS_NEW = {
    "state": "pending",
    "next_attempt_at": func.now(),
    "attempts_before": _deliveries.c.attempts,
    "finished_at": None,
    "waits_for": None,
}


def _sending(events: Any) -> Any:
    """Reset the deliveries of these events to new, and create missing ones. They come after new
    events."""
    statement = insert(_deliveries).from_select(
        ["event_id", "endpoint_id", "object_id", "object_sequence", "trigger", "is_replay"],
        select(
            events.c.id,
            _endpoint_given,
            events.c.object_id,
            events.c.sequence,
            literal("replay"),
            true(),
        ).order_by(events.c.position),
        include_defaults=False,  # the table's own; the model's come out as NULL
    )
    return statement.on_conflict_do_update(
        index_elements=["event_id", "endpoint_id"],
        set_={
            **_AS_GOOD_AS_NEW,
            "trigger": "replay",
            "is_replay": True,
            # Rows from before this was recorded.
            "object_id": statement.excluded.object_id,
            "object_sequence": statement.excluded.object_sequence,
        },
    ).returning(_deliveries.c.id)


_RETRY = (
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("number"))
    .values({**_AS_GOOD_AS_NEW, "trigger": "manual", "is_replay": False})
)
_positions = Positions(_events.c.position, _events.c.created_at)
_sent_columns = [
    _events.c.id,
    _events.c.position,
    # See `pings`.
    case((_events.c.type != "ping", _events.c.object_id)).label("object_id"),
    _events.c.sequence,
]
_SEND_THESE = _sending(
    select(*_sent_columns)
    .join_from(_events, _endpoints, _endpoints.c.id == _endpoint_given)
    .where(
        may_be_told_where(_events.c.producer, _endpoints.c.producer),
        _events.c.id == func.any(bindparam("event_ids", type_=ARRAY(String))),
        # A ping contains its endpoint, and no other endpoint may see it.
        or_(_events.c.type != "ping", _events.c.object_id == _endpoint_given),
    )
    .cte("these")
)

_only = bindparam("only", type_=String)
_is_open = _deliveries.c.state.is_distinct_from("delivered")
_until, _last = (
    bindparam("until", type_=DateTime(timezone=True)),
    bindparam("last", type_=_events.c.position.type),
)
_looked_to = bindparam("looked_to", type_=_events.c.position.type)
_found = (
    select(*_sent_columns)
    .join_from(_events, _endpoints, _endpoints.c.id == _endpoint_given)
    .outerjoin(
        _deliveries,
        and_(_deliveries.c.event_id == _events.c.id, _deliveries.c.endpoint_id == _endpoint_given),
    )
    .where(
        may_be_told_where(_events.c.producer, _endpoints.c.producer),
        _events.c.position > bindparam("after"),
        _events.c.position <= _looked_to,
        or_(_last.is_(None), _events.c.position <= _last),
        _events.c.created_at >= bindparam("since"),
        or_(_until.is_(None), _events.c.created_at < _until),
        or_(
            # A ping is for its own endpoint, whatever event types that has, and for no other.
            and_(_events.c.type == "ping", _events.c.object_id == _endpoint_given),
            and_(
                _events.c.type != "ping",
                # `endpoint.disabled` goes to the others only.
                or_(_events.c.type.not_in(TO_OTHERS), _events.c.object_id != _endpoint_given),
                is_asked_for(_events.c.type, _endpoints.c.event_types),
            ),
        ),
        case(
            (_only == "all", true()),
            (_only == "missed", _deliveries.c.id.is_(None)),
            (_only == "failed", and_(_deliveries.c.attempts > 0, _is_open)),
            else_=_is_open,
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
    # In order, so that one step walks one index.
    select(_events.c.position)
    .where(_events.c.position > _looked_to)
    .order_by(_events.c.position)
    .limit(1)
    .scalar_subquery()
    .label("behind"),
).add_cte(_sending(_these).cte("sent"))
