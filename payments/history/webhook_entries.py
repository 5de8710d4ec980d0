"""The history of webhooks: events, their deliveries, every post, and the state of endpoints."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, literal, not_, select, true
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from infra.billing.contract.endpoint_checks import ACCEPTED, is_accepted
from models import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from models.base import id_among, table_of
from models.rows import DeliveryRow, EndpointRow, EventRow, PostRow
from payments.access.scopes import Access, may_be_told_where
from payments.catalog import history
from payments.kinds import KINDS
from payments.timeline_entries import Entry, facts_of
from payments.transaction import read
from payments.views import moment
from payments.webhooks.outbox import is_asked_for

# How many endpoints one line names, and how many characters of a body are shown.
NAMED_MAX = 5
BODY_SHOWN_MAX = 200
# Why an endpoint got no delivery of an event. Judged by its present row, not the row of that time.
REASONS = {
    "added_later": "added later",
    "other_producer": "for events of another producer",
    "not_then": "disabled then, or asking for other types",
    "not_asked_for": "doesn't ask for this type",
    "disabled": "disabled",
    "missing": "nothing says why; `billing verify` tells if it is a bug",
}


def event_with(connection: Connection, id_: str) -> list[EventRow]:
    """The event with this id, if there is one."""
    return read(connection, EventRow, _EVENT, {"ids": [id_]})


def events_of(connection: Connection, object_ids: Collection[str]) -> list[EventRow]:
    """All events of these objects, each object's in order."""
    return read(connection, EventRow, _EVENTS, {"ids": list(object_ids)})


def of_gone(
    connection: Connection, events: Sequence[EventRow], ids: Collection[str]
) -> Iterator[Entry]:
    """A note about events of these charges and refunds that were deleted after their retention
    time."""
    there = Counter(row.object_id for row in events)
    for kind in KINDS.values():
        table = kind.table
        columns = (table.c.id, table.c.sequence, table.c.created_at)
        rows = connection.execute(select(*columns).where(id_among(table.c.id)), {"ids": list(ids)})
        for id_, sequence, created_at in rows:
            if (gone := sequence - there[id_]) > 0:
                are = "event is" if gone == 1 else "events are"
                text = f"{gone} {are} not kept any more (BILLING_KEEP_EVENTS_DAYS)"
                yield Entry(created_at, "event", id_, text, {"left_out": gone})


def of_events(
    connection: Connection, events: Sequence[EventRow], access: Access
) -> Iterator[Entry]:
    """These events, and the results of their deliveries, as far as `access` sees them."""
    of = {row.id: row for row in events}
    numbered = {(row.object_id, row.sequence): row for row in events}
    for row in events:
        text = f"event {row.type}, number {row.sequence} ({row.id})"
        if row.type.startswith("price."):
            text += history.beyond_type(row, numbered.get((row.object_id, row.sequence - 1)))
        facts = {"event_id": row.id, "type": row.type, "sequence": row.sequence}
        yield Entry(row.created_at, "event", row.object_id, text, facts)
    yield from _without_delivery(connection, of, access)
    deliveries = {
        row.id: row
        for row in read(connection, DeliveryRow, _DELIVERIES, {"ids": list(of)})
        if access.sees(row.endpoint_producer)
    }
    for delivery in deliveries.values():
        yield from _delivery(of[delivery.event_id], delivery)
    for post in read(connection, PostRow, _POSTS, {"delivery_ids": list(deliveries)}):
        delivery = deliveries[post.delivery_id]
        yield _post(of[delivery.event_id], delivery, post)


def _without_delivery(
    connection: Connection, of: Mapping[str, EventRow], access: Access
) -> Iterator[Entry]:
    """Which endpoints got no delivery of these events, and why, as far as their rows show."""
    for event_id, reason, endpoint_ids, count in connection.execute(
        _missed(access), {"ids": list(of)}
    ):
        event, shown = of[event_id], endpoint_ids[:NAMED_MAX]
        more = f" and {count - len(shown)} more" if count > len(shown) else ""
        text = f"{event.type} not for {', '.join(shown)}{more}: {REASONS[reason]}"
        facts = {"event_id": event_id, "reason": reason, "endpoint_ids": shown, "endpoints": count}
        yield Entry(event.created_at, "no_delivery", event.object_id, text, facts)


def _delivery(event: EventRow, row: DeliveryRow) -> Iterator[Entry]:
    """The delivery, and its end: after the posts that led to it."""
    text = f"{event.type} for {row.endpoint_id} at {row.url}"
    facts = facts_of(row, "endpoint_id", "state", "attempts")
    facts["event_id"] = event.id
    if row.state == "pending":
        is_on = row.endpoint_state == "enabled"
        at = f"due at {moment(row.next_attempt_at)}"
        if row.waits_for is not None:
            at = "behind an earlier event of the same object"
        text += f": pending, {at}" if is_on else f": pending, endpoint {row.endpoint_state}"
    yield Entry(row.created_at, "delivery", event.object_id, text, facts)
    if row.state != "pending" and row.finished_at is not None:
        how = "delivered" if row.state == "delivered" else "given up"
        tries = "1 attempt" if row.attempts == 1 else f"{row.attempts} attempts"
        ended = f"{event.type} for {row.endpoint_id}: {how} after {tries}"
        yield Entry(row.finished_at, "delivered", event.object_id, ended, facts)


def of_endpoints(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """The present state of these endpoints."""
    for row in read(connection, EndpointRow, _ENDPOINTS, {"ids": ids}):
        yield _endpoint(row)


def _endpoint(row: EndpointRow) -> Entry:
    of = "everybody" if row.producer is None else row.producer
    text = f"endpoint at {row.url} for events of {of}: now {row.state}"
    if row.waiting:
        text += f", {row.waiting} waiting, the oldest due at {moment(row.oldest)}"
    facts = facts_of(row, "state", "waiting", "url")
    return Entry(row.now, "now", row.id, text, facts)


def _post(event: EventRow, delivery: DeliveryRow, row: PostRow) -> Entry:
    answer = row.status_code or row.error or ACCEPTED
    text = (
        f"{event.type} posted to {delivery.endpoint_id}, attempt {row.number}:"
        f" {answer} after {row.duration_ms} ms"
    )
    facts = facts_of(row, "number", "status_code", "error", "duration_ms")
    is_last, is_ok = row.number == delivery.attempts, is_accepted(row.status_code, row.error)
    if is_last and not is_ok and row.response_body:
        said = " ".join(row.response_body[:BODY_SHOWN_MAX].split())
        text += f", saying: {said}"
        facts["response_body"] = said
    facts |= {"event_id": event.id, "endpoint_id": delivery.endpoint_id}
    return Entry(row.started_at, "post", event.object_id, text, facts)


def _missed(access: Access) -> Select[Any]:
    """For each event, the endpoints that `access` sees without a delivery of it, by reason."""
    reason = case(
        (_endpoints.c.created_at > _events.c.created_at, "added_later"),
        (not_(may_be_told_where(_events.c.producer, _endpoints.c.producer)), "other_producer"),
        (_endpoints.c.subscribed_at > _events.c.created_at, "not_then"),
        (not_(is_asked_for(_events.c.type, _endpoints.c.event_types)), "not_asked_for"),
        (_endpoints.c.state == "disabled", "disabled"),
        else_="missing",
    ).label("reason")
    is_there = (
        select(_deliveries.c.id)
        .where(_deliveries.c.event_id == _events.c.id, _deliveries.c.endpoint_id == _endpoints.c.id)
        .exists()
    )
    return (
        select(
            _events.c.id,
            reason,
            func.array_agg(aggregate_order_by(_endpoints.c.id, _endpoints.c.id)),
            func.count(),
        )
        .join_from(_events, _endpoints, true())
        .where(
            id_among(_events.c.id),
            # A ping is for one endpoint; `endpoint.disabled` goes to the others only.
            _events.c.type != "ping",
            _events.c.object_id != _endpoints.c.id,
            _endpoints.c.state != "deleted",
            access.sees_where(_endpoints.c.producer),
            not_(is_there),
        )
        .group_by(_events.c.id, reason)
        .order_by(_events.c.id, reason)
    )


# --- The statements, built once ---

_events, _deliveries, _posts, _endpoints = (
    table_of(t) for t in (Event, Delivery, DeliveryAttempt, WebhookEndpoint)
)
_waiting = (
    select(func.count().label("waiting"), func.min(_deliveries.c.next_attempt_at).label("oldest"))
    .where(
        _deliveries.c.endpoint_id == _endpoints.c.id,
        _deliveries.c.state == literal("pending", literal_execute=True),
    )
    .lateral("waiting")
)
_ENDPOINTS = (
    select(_endpoints, _waiting.c.waiting, _waiting.c.oldest, func.now().label("now"))
    .join_from(_endpoints, _waiting, true())
    .where(id_among(_endpoints.c.id))
)
_EVENT = select(_events).where(id_among(_events.c.id))
_EVENTS = select(_events).where(id_among(_events.c.object_id)).order_by(_events.c.sequence)
_DELIVERIES = (
    select(
        _deliveries,
        _endpoints.c.url,
        _endpoints.c.state.label("endpoint_state"),
        _endpoints.c.producer.label("endpoint_producer"),
    )
    .join(_endpoints, _endpoints.c.id == _deliveries.c.endpoint_id)
    .where(id_among(_deliveries.c.event_id))
    .order_by(_deliveries.c.id)
)
_POSTS = (
    select(_posts)
    .where(
        _posts.c.delivery_id
        == func.any(bindparam("delivery_ids", type_=ARRAY(_posts.c.delivery_id.type)))
    )
    .order_by(_posts.c.delivery_id, _posts.c.number)
)
