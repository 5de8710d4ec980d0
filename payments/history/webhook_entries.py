"""What was told: events, their deliveries, every post, and how the endpoints stand."""

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Connection, bindparam, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from models import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from models.base import id_among, table_of
from models.rows import DeliveryRow, EndpointRow, EventRow, PostRow
from payments.access.scopes import Access
from payments.catalog import history
from payments.timeline_entries import Entry, facts_of
from payments.transaction import read
from payments.views import moment


def event_with(connection: Connection, id_: str) -> list[EventRow]:
    """The event with this id, if there is one."""
    return read(connection, EventRow, _EVENT, {"ids": [id_]})


def events_of(connection: Connection, object_ids: Collection[str]) -> list[EventRow]:
    """All events of these, in the order of each."""
    return read(connection, EventRow, _EVENTS, {"ids": list(object_ids)})


def of_events(
    connection: Connection, events: Sequence[EventRow], access: Access
) -> Iterator[Entry]:
    """These events, and what became of their deliveries, as far as `access` sees them."""
    of = {row.id: row for row in events}
    numbered = {(row.object_id, row.sequence): row for row in events}
    for row in events:
        text = f"event {row.type}, number {row.sequence} ({row.id})"
        if row.type.startswith("price."):
            text += history.told(row, numbered.get((row.object_id, row.sequence - 1)))
        facts = {"event_id": row.id, "type": row.type, "sequence": row.sequence}
        yield Entry(row.created_at, "event", row.object_id, text, facts)
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


def _delivery(event: EventRow, row: DeliveryRow) -> Iterator[Entry]:
    """What is to be delivered, and how it ended: behind the posts that made it end."""
    text = f"{event.type} for {row.endpoint_id} at {row.url}"
    facts = facts_of(row, "endpoint_id", "state", "attempts")
    facts["event_id"] = event.id
    if row.state == "pending":
        is_on = row.endpoint_state == "enabled"
        at = f"due at {moment(row.next_attempt_at)}"
        text += f": pending, {at}" if is_on else f": pending, endpoint {row.endpoint_state}"
    yield Entry(row.created_at, "delivery", event.object_id, text, facts)
    if row.state != "pending" and row.finished_at is not None:
        how = "delivered" if row.state == "delivered" else "given up"
        tries = "1 attempt" if row.attempts == 1 else f"{row.attempts} attempts"
        ended = f"{event.type} for {row.endpoint_id}: {how} after {tries}"
        yield Entry(row.finished_at, "delivered", event.object_id, ended, facts)


def of_endpoints(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """How these endpoints stand."""
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
    answer = row.status_code or row.error
    text = (
        f"{event.type} posted to {delivery.endpoint_id}, attempt {row.number}:"
        f" {answer} after {row.duration_ms} ms"
    )
    facts = facts_of(row, "number", "status_code", "error", "duration_ms")
    facts |= {"event_id": event.id, "endpoint_id": delivery.endpoint_id}
    return Entry(row.started_at, "post", event.object_id, text, facts)


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
