"""The history of a charge or a refund: the request, attempts, movements, and its present state."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select

from models import Attempt, Dispute
from models.base import id_among, table_of
from models.rows import AttemptRow, ChargeRow, DisputeRow, LifecycleRow, RefundRow, columns_of
from models.states import status_of
from payments.amounts import in_words
from payments.catalog import history
from payments.kinds import CHARGE, REFUND
from payments.processors.port import Movement
from payments.processors.statements import Statements, movements_of
from payments.timeline_entries import Entry, facts_of
from payments.transaction import read
from payments.views import moment

# A charge may have thousands of refunds; a timeline has the first of them, and its disputes.
REFUNDS_MAX = 100
# The fields of a request to show, if they were given.
_ASKED = (
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
    "capture",
)


def of_payments(
    connection: Connection, ids: Sequence[str], statements: Statements
) -> Iterator[Entry]:
    """How these charges and refunds were requested, the attempts, the movements, and their present
    state."""
    for charge in read(connection, ChargeRow, _CHARGES, {"ids": ids}):
        yield from _charge(connection, charge, statements)
    for refund in read(connection, RefundRow, _REFUNDS, {"ids": ids}):
        yield _request(refund, "refund", f" of {refund.charge_id}")
        yield from _tried(connection, refund, statements, charge_id=refund.charge_id)
        yield _now(refund, statements)


def _charge(connection: Connection, row: ChargeRow, statements: Statements) -> Iterator[Entry]:
    sale = "" if row.price_id is None else f", {row.quantity} × {row.price_id},"
    yield _request(row, "charge", sale)
    if row.cancel_requested_at is not None:
        yield _cancellation(row, row.cancel_requested_at)
    yield from _tried(connection, row, statements, charge_id=row.id)
    yield from history.of_charge(connection, row.id)
    for refund in read(connection, RefundRow, _REFUNDS_OF, {"id": row.id}):
        yield _refund(row, refund)
    for dispute in read(connection, DisputeRow, _DISPUTES_OF, {"id": row.id}):
        yield _dispute(dispute)
    yield _now(row, statements, row.expires_at)


def _tried(
    connection: Connection, row: LifecycleRow, statements: Statements, *, charge_id: str
) -> Iterator[Entry]:
    for attempt in read(connection, AttemptRow, _ATTEMPTS, {"id": row.id}):
        yield _attempt(row, attempt)
    for name, statement in statements.items():
        for one in movements_of(connection, statement, row.id, charge_id=charge_id):
            yield _movement(name, one)


def _request(row: ChargeRow | RefundRow, kind: str, of_what: str) -> Entry:
    what = in_words(row.amount, row.currency) if row.amount else "all that is left"
    known = columns_of(row)
    facts = {name: known[name] for name in _ASKED if known.get(name) is not None}
    if facts.get("capture") == "automatic":
        del facts["capture"]  # as for nearly all
    whose = f"by the producer {row.producer!r} under the key {row.idempotency_key!r}"
    text = f"{kind} of {what}{of_what} asked for {whose}"
    if row.request_id:
        text += f", request {row.request_id}"
    if row.traceparent:
        text += f", trace {row.traceparent.split('-')[1]}"
    if known.get("scheduled_at") is not None:
        facts["scheduled_at"] = moment(known["scheduled_at"])
        text += f", to be made at {facts['scheduled_at']}"
    return Entry(row.created_at, "request", row.id, text, facts)


def _cancellation(row: ChargeRow, at: datetime) -> Entry:
    by, why = row.cancel_requested_by, row.cancel_reason
    text = "its time was up" if row.cancel_code == "expired" else f"its end asked for by {by}"
    facts = {"cancel_code": row.cancel_code, "by": by}
    text += f": {why}" if why else ""
    return Entry(at, "request", row.id, text, facts)


def _attempt(row: LifecycleRow, attempt: AttemptRow) -> Entry:
    said = " ".join(filter(None, (attempt.outcome, attempt.code and f"({attempt.code})")))
    text = f"attempt {attempt.number}: {attempt.verb} → {said}"
    facts = facts_of(attempt, "number", "verb", "outcome", "code", "worker")
    if attempt.looked_until is not None:
        facts["looked_until"] = moment(attempt.looked_until)
    if attempt.started_at is not None:
        facts["duration_ms"] = _ms(attempt.ended_at - attempt.started_at)
        text += f" after {facts['duration_ms']} ms"
    if attempt.worker:
        text += f", by {attempt.worker}"
    if attempt.detail:
        text += f": {attempt.detail}"
    return Entry(attempt.ended_at, "attempt", row.id, text, facts)


def _movement(processor: str, one: Movement) -> Entry:
    words = in_words(one.amount, one.currency)
    way = {
        "charge": f"{words} moved from the customer to us",
        "capture": f"{words} moved from the customer to us: it was captured",
        "refund": f"{words} moved back to the customer",
        "reversal": f"{words} came back to us: the bank returned the refund",
    }
    facts = {"direction": one.direction, "amount": one.amount, "currency": one.currency}
    text = f"{processor}: {way[one.direction]} ({one.reference})"
    return Entry(one.moved_at, "movement", one.object_id, text, facts)


def _refund(charge: ChargeRow, refund: RefundRow) -> Entry:
    words = in_words(refund.amount, refund.currency or charge.currency)
    text = f"refund {refund.id} of {words}, now {status_of(refund.state, refund.phase)}"
    if refund.restocked:
        text += f"; {history.units(refund.restocked)} came back"
    facts = {"refund_id": refund.id, "amount": refund.amount, "state": refund.state}
    return Entry(refund.created_at, "refund", charge.id, text, facts)


def _dispute(row: DisputeRow) -> Entry:
    """The dispute, under its own id, as its events are."""
    words = in_words(row.amount, row.currency)
    text = f"dispute {row.id} of {words} ({row.reason}), now {row.state}"
    facts = facts_of(row, "amount", "currency", "state", "reason", "processor_reference")
    facts["charge_id"] = row.charge_id
    if row.respond_by is not None and row.closed_at is None:
        facts["respond_by"] = moment(row.respond_by)
        text += f", evidence by {facts['respond_by']}"
    return Entry(row.created_at, "dispute", row.id, text, facts)


def _now(row: LifecycleRow, statements: Statements, expires_at: datetime | None = None) -> Entry:
    # If the processor keeps a statement, what moved has the processor's id.
    is_named = row.processor not in statements
    text = f"now {status_of(row.state, row.phase)}"
    if row.failure_code:
        text += f": {row.failure_code}"
    if row.lease_token is not None:
        text += f", leased by {row.worker} until {moment(row.lease_expires_at)}"
    elif row.next_attempt_at is not None and row.state == "pending":
        text += f", due at {moment(row.next_attempt_at)}"
    if is_named and row.processor_reference:
        text += f", at {row.processor} as {row.processor_reference}"
    facts = facts_of(row, "state", "phase", "failure_code", "processor_reference")
    until = getattr(row, "capture_before", None)
    if row.phase == "authorized" and until is not None:
        facts["capture_before"] = moment(until)
        text += f", to be captured before {facts['capture_before']}"
    if row.state == "pending" and expires_at is not None:
        facts["expires_at"] = moment(expires_at)
        text += f", canceled at {facts['expires_at']} unless it is final by then"
    return Entry(row.now, "now", row.id, text, facts)


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


# --- The statements, built once ---

_attempts = table_of(Attempt)
_charges, _refunds, _now_too = CHARGE.table, REFUND.table, func.now().label("now")
_CHARGES = select(_charges, _now_too).where(id_among(_charges.c.id))
_REFUNDS = select(_refunds, _now_too).where(id_among(_refunds.c.id))
_disputes = table_of(Dispute)
_DISPUTES_OF = (
    select(_disputes, _now_too)
    .where(_disputes.c.charge_id == bindparam("id"))
    .order_by(_disputes.c.created_at)
    .limit(REFUNDS_MAX)
)
_ATTEMPTS = (
    select(_attempts).where(_attempts.c.object_id == bindparam("id")).order_by(_attempts.c.number)
)
_REFUNDS_OF = (
    select(_refunds)
    .where(_refunds.c.charge_id == bindparam("id"))
    .order_by(_refunds.c.created_at)
    .limit(REFUNDS_MAX)
)
