"""Everything that happened to a payment or a price, in order: the answer to "what happened?"."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from infra.billing.contract.ids import is_id, is_price_id
from models import Attempt, Delivery, DeliveryAttempt, Event, RejectedRequest, WebhookEndpoint
from models.base import id_among, table_of
from models.states import status_of
from payments.access.scopes import OPERATOR, Access
from payments.amounts import in_words
from payments.catalog import history
from payments.errors import NotFound
from payments.history.finding import named
from payments.kinds import CHARGE, KINDS, REFUND, Kind
from payments.lifecycle.reading import get
from payments.processors.port import Movement
from payments.processors.statements import Statements, movements_of
from payments.timeline_entries import ORDER, Entry
from payments.views import moment

# (Not Mapping[str, …]: SQLAlchemy types its rows as taking columns for keys, too.)
Row = Mapping[Any, Any]

# A charge may have thousands of refunds; a story tells the first of them.
REFUNDS_MAX = 100


def of(
    connection: Connection, kind: Kind, id_: str, *, statements: Statements, access: Access
) -> list[Entry]:
    """The story of a charge or a refund, as far as `access` sees it. Raises NotFound."""
    get(connection, kind, id_, access=access)
    return timeline(connection, id_, statements=statements, access=access)


def timeline(
    connection: Connection,
    id_or_key: str,
    *,
    statements: Statements,
    producer: str | None = "default",
    access: Access = OPERATOR,
) -> list[Entry]:
    """The story of what has this id (`ch_…`, `re_…`, `prod_…`, `price_…`, `evt_…`, `rej_…`,
    `we_…`), or of what `producer` (None: anybody) asked for under this idempotency key, reference,
    customer, processor's reference or request id (`payments.history.finding`). Raises NotFound.

    A key may name a charge, a refund, a product and a price, which its lookup key names, too: all
    are told. Refusals under the same key belong to it. Deliveries to endpoints that `access`
    doesn't see are left out.
    """
    ids = named(connection, id_or_key, producer=producer).ids
    entries: list[Entry] = []
    for kind in KINDS.values():
        for row in _read(connection, _OBJECTS[kind.name], ids):
            entries += _object(connection, kind, row, statements)
    priced = [*ids, *history.with_key(connection, id_or_key)]
    entries += history.of_products(connection, ids)
    entries += history.of_prices(connection, priced)
    entries += (_rejection(row) for row in _read(connection, _REJECTIONS, [*ids, id_or_key]))
    entries += (_endpoint(row) for row in _read(connection, _ENDPOINTS, ids))
    # Of a price that has been deleted they are all that is left.
    of_prices = history.latest_events(connection, [id_ for id_ in priced if _has_many_events(id_)])
    if not entries and not of_prices and (event := _read(connection, _EVENT, [id_or_key])):
        return list(_told(connection, event, access))  # of an endpoint, such as a ping
    if not entries and not of_prices:
        of_whom = "" if producer is None else f" of the producer {producer!r}"
        raise NotFound(
            "nothing is known under this id, idempotency key, reference, customer, reference of the"
            f" processor, or request id{of_whom}",
            param="id_or_key",
        )
    others = {entry.object_id for entry in entries if not _has_many_events(entry.object_id)}
    entries += history.left_out(of_prices)
    events = [*_read(connection, _EVENTS, others), *of_prices]
    entries += _told(connection, events, access)
    # What came of a request in its own transaction has the moment at which that began, a little
    # earlier than the request was written: it is told at the moment of the request, after it.
    # The first one, as a cancellation is a request, too.
    asked_at: dict[str, datetime] = {}
    for entry in entries:
        if entry.what == "request":
            asked_at.setdefault(entry.object_id, entry.at)
    told = [replace(e, at=max(e.at, asked_at.get(e.object_id, e.at))) for e in entries]
    return sorted(told, key=lambda entry: (entry.at, ORDER.index(entry.what)))


def _has_many_events(id_: str) -> bool:
    """Whether the latest of its events have to do: it may have a million."""
    return is_price_id(id_) or is_id(id_, "we_")


def _object(
    connection: Connection, kind: Kind, row: Row, statements: Statements
) -> Iterator[Entry]:
    yield _request(kind, row)
    if kind is CHARGE and row["cancel_requested_at"] is not None:
        yield _cancellation(row)
    for attempt in _read(connection, _ATTEMPTS, [row["id"]]):
        yield _attempt(row, attempt)
    charge_id = row["id"] if kind is CHARGE else row["charge_id"]
    for name, statement in statements.items():
        for one in movements_of(connection, statement, row["id"], charge_id=charge_id):
            yield _movement(name, one)
    if kind is CHARGE:
        yield from history.of_charge(connection, row["id"])
        for refund in _read(connection, _REFUNDS, [row["id"]]):
            yield _refund(row, refund)
    yield _now(row)


def _request(kind: Kind, row: Row) -> Entry:
    words = in_words(row["amount"], row["currency"])
    what = f"{kind.name} of {words if row['amount'] else 'all that is left'}"
    if kind is REFUND:
        what += f" of {row['charge_id']}"
    elif row["price_id"] is not None:
        what += f", {row['quantity']} × {row['price_id']},"
    facts = {
        name: row[name]
        for name in (
            "producer",
            "idempotency_key",
            "request_id",
            "traceparent",
            "amount",
            "currency",
            "reference",
            "charge_id",
            "price_id",
            "quantity",
            "lines",
        )
        if row.get(name) is not None
    }
    whose = f"by the producer {row['producer']!r} under the key {row['idempotency_key']!r}"
    text = f"{what} asked for {whose}"
    if row["request_id"]:
        text += f", request {row['request_id']}"
    if row["traceparent"]:
        text += f", trace {row['traceparent'].split('-')[1]}"
    if row.get("scheduled_at") is not None:
        facts["scheduled_at"] = moment(row["scheduled_at"])
        text += f", to be made at {facts['scheduled_at']}"
    return Entry(row["created_at"], "request", row["id"], text, facts)


def _cancellation(row: Row) -> Entry:
    by, why = row["cancel_requested_by"], row["cancel_reason"]
    text = "its time was up" if row["cancel_code"] == "expired" else f"its end asked for by {by}"
    facts = {"cancel_code": row["cancel_code"], "by": by}
    text += f": {why}" if why else ""
    return Entry(row["cancel_requested_at"], "request", row["id"], text, facts)


def _attempt(row: Row, attempt: Row) -> Entry:
    said = " ".join(filter(None, (attempt["outcome"], attempt["code"] and f"({attempt['code']})")))
    text = f"attempt {attempt['number']}: {attempt['verb']} → {said}"
    facts = {name: attempt[name] for name in ("number", "verb", "outcome", "code", "worker")}
    if attempt["started_at"] is not None:
        facts["duration_ms"] = _ms(attempt["ended_at"] - attempt["started_at"])
        text += f" after {facts['duration_ms']} ms"
    if attempt["worker"]:
        text += f", by {attempt['worker']}"
    if attempt["detail"]:
        text += f": {attempt['detail']}"
    return Entry(attempt["ended_at"], "attempt", row["id"], text, facts)


def _movement(processor: str, one: Movement) -> Entry:
    words = in_words(one.amount, one.currency)
    way = {
        "charge": f"{words} moved from the customer to us",
        "refund": f"{words} moved back to the customer",
        "reversal": f"{words} came back to us: the bank returned the refund",
    }
    facts = {"direction": one.direction, "amount": one.amount, "currency": one.currency}
    text = f"{processor}: {way[one.direction]} ({one.reference})"
    return Entry(one.moved_at, "movement", one.object_id, text, facts)


def _refund(charge: Row, refund: Row) -> Entry:
    words = in_words(refund["amount"], refund["currency"] or charge["currency"])
    text = f"refund {refund['id']} of {words}, now {status_of(refund['state'], refund['phase'])}"
    if refund["restocked"]:
        text += f"; {history.units(refund['restocked'])} came back"
    facts = {"refund_id": refund["id"], "amount": refund["amount"], "state": refund["state"]}
    return Entry(refund["created_at"], "refund", charge["id"], text, facts)


def _now(row: Row) -> Entry:
    text = f"now {status_of(row['state'], row['phase'])}"
    if row["failure_code"]:
        text += f": {row['failure_code']}"
    if row["lease_token"] is not None:
        text += f", leased by {row['worker']} until {moment(row['lease_expires_at'])}"
    elif row["next_attempt_at"] is not None and row["state"] == "pending":
        text += f", due at {moment(row['next_attempt_at'])}"
    facts = {name: row[name] for name in ("state", "phase", "failure_code")}
    if row["state"] == "pending" and row.get("expires_at") is not None:
        facts["expires_at"] = moment(row["expires_at"])
        text += f", canceled at {facts['expires_at']} unless it is final by then"
    return Entry(row["now"], "now", row["id"], text, facts)


def _rejection(row: Row) -> Entry:
    text = f"{row['task']} refused ({row['code']}): {row['detail']}"
    facts = {name: row[name] for name in ("code", "param", "task_id", "request")}
    return Entry(row["created_at"], "rejection", row["id"], text, facts)


def _told(connection: Connection, events: Sequence[Row], access: Access) -> Iterator[Entry]:
    of = {row["id"]: row for row in events}
    numbered = {(row["object_id"], row["sequence"]): row for row in events}
    for row in events:
        text = f"event {row['type']}, number {row['sequence']} ({row['id']})"
        if row["type"].startswith("price."):
            text += history.told(row, numbered.get((row["object_id"], row["sequence"] - 1)))
        facts = {"event_id": row["id"], "type": row["type"], "sequence": row["sequence"]}
        yield Entry(row["created_at"], "event", row["object_id"], text, facts)
    deliveries = {
        row["id"]: row
        for row in _read(connection, _DELIVERIES, list(of))
        if access.sees(row["endpoint_producer"])
    }
    for row in deliveries.values():
        yield from _delivery(of[row["event_id"]], row)
    for row in _read(connection, _POSTS, list(deliveries), parameter="delivery_ids"):
        delivery = deliveries[row["delivery_id"]]
        yield _post(of[delivery["event_id"]], delivery, row)


def _delivery(event: Row, row: Row) -> Iterator[Entry]:
    """What is to be delivered, and how it ended: behind the posts that made it end."""
    text = f"{event['type']} for {row['endpoint_id']} at {row['url']}"
    facts = {name: row[name] for name in ("endpoint_id", "state", "attempts")}
    facts["event_id"] = event["id"]
    if row["state"] == "pending":
        is_on = row["endpoint_state"] == "enabled"
        at = f"due at {moment(row['next_attempt_at'])}"
        text += f": pending, {at}" if is_on else f": pending, endpoint {row['endpoint_state']}"
    yield Entry(row["created_at"], "delivery", event["object_id"], text, facts)
    if row["state"] != "pending":
        how = "delivered" if row["state"] == "delivered" else "given up"
        tries = "1 attempt" if row["attempts"] == 1 else f"{row['attempts']} attempts"
        ended = f"{event['type']} for {row['endpoint_id']}: {how} after {tries}"
        yield Entry(row["finished_at"], "delivered", event["object_id"], ended, facts)


def _endpoint(row: Row) -> Entry:
    of = "everybody" if row["producer"] is None else row["producer"]
    text = f"endpoint at {row['url']} for events of {of}: now {row['state']}"
    if row["waiting"]:
        text += f", {row['waiting']} waiting, the oldest due at {moment(row['oldest'])}"
    facts = {"state": row["state"], "waiting": row["waiting"], "url": row["url"]}
    return Entry(row["now"], "now", row["id"], text, facts)


def _post(event: Row, delivery: Row, row: Row) -> Entry:
    answer = row["status_code"] or row["error"]
    text = (
        f"{event['type']} posted to {delivery['endpoint_id']}, attempt {row['number']}:"
        f" {answer} after {row['duration_ms']} ms"
    )
    facts = {name: row[name] for name in ("number", "status_code", "error", "duration_ms")}
    facts |= {"event_id": event["id"], "endpoint_id": delivery["endpoint_id"]}
    return Entry(row["started_at"], "post", event["object_id"], text, facts)


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


def _read(
    connection: Connection, statement: Any, ids: Iterable[Any], *, parameter: str = "ids"
) -> Sequence[Row]:
    wanted = list(ids)
    if not wanted:
        return []
    return connection.execute(statement, {parameter: wanted}).mappings().all()


# --- The statements, built once ---

_events, _attempts, _rejected = (table_of(t) for t in (Event, Attempt, RejectedRequest))
_deliveries, _posts, _endpoints = (
    table_of(t) for t in (Delivery, DeliveryAttempt, WebhookEndpoint)
)
_OBJECTS = {
    kind.name: select(kind.table, func.now().label("now")).where(id_among(kind.table.c.id))
    for kind in KINDS.values()
}
_ATTEMPTS = select(_attempts).where(id_among(_attempts.c.object_id)).order_by(_attempts.c.number)
_REFUNDS = (
    select(REFUND.table)
    .where(id_among(REFUND.table.c.charge_id))
    .order_by(REFUND.table.c.created_at)
    .limit(REFUNDS_MAX)
)
_ids_given = bindparam("ids", type_=ARRAY(String))
_REJECTIONS = (
    select(_rejected)
    .where(
        (_rejected.c.object_id == func.any(_ids_given)) | (_rejected.c.id == func.any(_ids_given))
    )
    .order_by(_rejected.c.created_at)
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
