"""Erases personal data of one customer: from their charges and refunds, from the events about them,
from receivers' answers, and from messages in quarantine.

The books stay (`payments.keeping.personal`): amounts, states, ids. Ids, keys and fingerprints are
untouched, so that a repeat finds its charge and moves nothing. A few charges at a time, each with
everything that belongs to it, in one transaction: after an interruption, start again, and only the
rest is found, as an erased charge names no customer any more.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, text

from models import Charge, Event, Refund
from models.base import as_rows, given, table_of
from payments.access import audit_log
from payments.access.audit_log import Action
from payments.acting import Acting
from payments.keeping import personal
from payments.payment_errors import InvalidRequest, MoveNotAllowed, NotFound
from payments.transaction import Transaction

# Charges per transaction: a tenth of a second, in which none needs settling, as all are final.
PAGE = 100
# How many obstacles are named.
NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Found:
    """How much there is of a customer, or was erased; `waiting` are ids of what is pending."""

    charges: int = 0
    refunds: int = 0
    events: int = 0
    answers: int = 0
    messages: int = 0
    waiting: Sequence[str] = ()

    def __add__(self, other: "Found") -> "Found":
        counts = ("charges", "refunds", "events", "answers", "messages")
        return Found(*(getattr(self, name) + getattr(other, name) for name in counts))


def look_at_charge(connection: Connection, charge_id: str) -> Found:
    """What would be erased for one charge. Raises NotFound."""
    found = _look(connection, "charge", {"charge": charge_id})
    if not found.charges:
        raise _no_such(charge_id)
    return found


def look(connection: Connection, customer_id: str, *, producer: str | None = None) -> Found:
    """What would be erased. `producer`: only what it requested, which excludes messages in
    quarantine, as their producer is not known; None = everything."""
    found = _look(connection, "customer", {"customer": customer_id, "producer": producer})
    messages = list(_messages(connection, customer_id)) if producer is None else []
    open_ones = [f"message {m.id} in quarantine" for m in messages if not m.is_done]
    return replace(found, messages=len(messages), waiting=[*found.waiting, *open_ones])


def check(acting: Acting) -> None:
    """Refuse a reason that must not stay in the history. Raises InvalidRequest."""
    if not acting.reason.isprintable():
        raise InvalidRequest("say why, in one line; it stays in the history", param="why")


def erase_some(
    transaction: Transaction,
    customer_id: str,
    *,
    producer: str | None = None,
    limit: int = PAGE,
) -> Found:
    """Erase up to `limit` charges of the customer, with everything that belongs to them; none are
    left when `charges` is 0. Each gets an attempt in its history that says who did it, and why.

    Raises MoveNotAllowed for pending ones, as their processor still needs the data; InvalidRequest.
    """
    acting = audit_log.acting_in(transaction)
    check(acting)
    whose = {"customer": customer_id, "producer": producer, "limit": limit}
    return _erased(transaction, transaction.execute(_CHARGES, whose).all())


def erase_charge(transaction: Transaction, charge_id: str) -> Found:
    """The same for one charge, with everything that belongs to it. What comes after its customer
    was erased (a refund, with a reason) can only be erased like this. Raises NotFound."""
    check(audit_log.acting_in(transaction))
    charges = transaction.execute(_ONE_CHARGE, {"charge": charge_id}).all()
    if not charges:
        raise _no_such(charge_id)
    return _erased(transaction, charges)


def _erased(transaction: Transaction, charges: Sequence[Any]) -> Found:
    acting = audit_log.acting_in(transaction)
    ids = {"charges": [row.id for row in charges]}
    refunds = transaction.execute(_REFUNDS, ids).all()
    _refuse([row.id for row in (*charges, *refunds) if row.state == "pending"])
    if not charges:
        return Found()
    objects = [row.id for row in (*charges, *refunds)]
    changed = _redact_events(transaction, objects)
    answers = transaction.execute(_ANSWERS, {"objects": objects}).rowcount
    transaction.execute(_ATTEMPT, {**ids, "who": acting.name, "why": acting.reason})
    transaction.execute(_REASONS, {"objects": objects})
    for table, values in ((_charges, personal.CHARGE), (_refunds, personal.REFUND)):
        chosen = table.c.id.in_(objects)
        transaction.execute(table.update().where(chosen).values(**values))
    # Without the customer: that is what was erased.
    audit_log.record_all(transaction, [Action("charge.erase", id_) for id_ in ids["charges"]])
    return Found(len(charges), len(refunds), changed, answers)


def erase_messages(transaction: Transaction, customer_id: str) -> Found:
    """Empty the messages in quarantine that name the customer. Raises MoveNotAllowed if one of them
    is still to be released or dismissed."""
    named = list(_messages(transaction.connection, customer_id))
    _refuse([f"message {row.id} in quarantine" for row in named if not row.is_done])
    transaction.execute(_EMPTY, {"ids": [row.id for row in named]})
    audit_log.record_all(transaction, [Action("message.erase", str(row.id)) for row in named])
    return Found(messages=len(named))


def redacted_body(body: str, kind: Mapping[str, Any]) -> str:
    """The body of an event without personal data; it is signed anew when it is sent."""
    event = json.loads(body)
    data = event["data"]
    event["data"] = {name: kind.get(name, value) for name, value in data.items()}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _look(connection: Connection, by: str, of: Mapping[str, str | None]) -> Found:
    row = connection.execute(_LOOK[by], of).one()
    waiting = connection.execute(_WAITING[by], {**of, "limit": NAMED_MAX}).scalars().all()
    return Found(row.charges, row.refunds, row.events, row.answers, waiting=waiting)


def _no_such(charge_id: str) -> NotFound:
    return NotFound(f"there is no charge {charge_id}", param="charge")


def _refuse(waiting: Sequence[str]) -> None:
    if waiting:
        more = f" and {len(waiting) - NAMED_MAX} more" if len(waiting) > NAMED_MAX else ""
        raise MoveNotAllowed(
            f"{', '.join(waiting[:NAMED_MAX])}{more}: still pending, and nothing of it is erased"
            " before it is final. Wait for it, or end it (`billing charge cancel`, `billing"
            " resolve`, `billing quarantine`); then erase again, which goes on with the rest"
        )


def _redact_events(transaction: Transaction, objects: Sequence[str]) -> int:
    rows = transaction.execute(_EVENTS, {"objects": objects}).all()
    changes = []
    for row in rows:
        kind = personal.CHARGE if row.object_id.startswith("ch_") else personal.REFUND
        if (body := redacted_body(row.body, kind)) != row.body:
            changes.append({"id": row.id, "body": body})
    if changes:
        transaction.execute(_CHANGE_EVENTS, {"bodies": as_rows(changes)})
    return len(changes)


def _messages(connection: Connection, customer_id: str) -> Iterator[Any]:
    """The messages in quarantine that name the customer; a page of them in memory."""
    after = 0
    while rows := connection.execute(_MESSAGES, {"after": after, "limit": PAGE}).all():
        yield from (row for row in rows if _names(row.raw, customer_id))
        after = rows[-1].id


def _names(raw: bytes, customer_id: str) -> bool:
    return any(written in raw for written in _as_written(customer_id))


def _as_written(name: str) -> Iterable[bytes]:
    """The forms in which a message may hold the name: unchanged, in ASCII JSON, or within base64,
    in which it begins at one of three offsets."""
    in_json = (json.dumps(name, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    for one in {name.encode(), *(part.encode() for part in in_json)}:
        yield one
        for before in range(3):
            # Leave out characters that also encode neighbouring bits.
            written = base64.b64encode(b"\0" * before + one)
            whole = (before + len(one)) * 8 // 6
            yield written[(before * 8 + 5) // 6 : whole]


# --- The statements ---

_charges, _refunds, _events = (table_of(t) for t in (Charge, Refund, Event))
_OF_CUSTOMER = (
    "customer_id = :customer AND (CAST(:producer AS text) IS NULL OR producer = :producer)"
)
# Our own names only, in all of these.
_CHARGES = text(f"""
    SELECT id, state FROM charges WHERE {_OF_CUSTOMER} ORDER BY id LIMIT :limit FOR UPDATE
""")  # noqa: S608
_ONE_CHARGE = text("SELECT id, state FROM charges WHERE id = :charge FOR UPDATE")
_REFUNDS = text("""
    SELECT id, state FROM refunds WHERE charge_id = ANY(:charges) ORDER BY id FOR UPDATE
""")
_OBJECTS = {
    by: f"""
    ours AS (SELECT id, state FROM charges WHERE {which}),
    objects AS (
        SELECT id, state FROM ours
        UNION ALL SELECT r.id, r.state FROM refunds r JOIN ours ON ours.id = r.charge_id
    )
"""  # noqa: S608
    for by, which in (("customer", _OF_CUSTOMER), ("charge", "id = :charge"))
}
_LOOK = {
    by: text(f"""
    WITH {objects}, told AS (SELECT e.id FROM events e JOIN objects o ON o.id = e.object_id)
    SELECT (SELECT count(*) FROM ours) AS charges,
           (SELECT count(*) FROM objects) - (SELECT count(*) FROM ours) AS refunds,
           (SELECT count(*) FROM told) AS events,
           (SELECT count(*) FROM told t JOIN deliveries d ON d.event_id = t.id
            JOIN delivery_attempts a ON a.delivery_id = d.id
            WHERE a.response_body IS NOT NULL OR a.response_headers IS NOT NULL) AS answers
""")  # noqa: S608
    for by, objects in _OBJECTS.items()
}
_WAITING = {
    by: text(f"""
    WITH {objects} SELECT id FROM objects WHERE state = 'pending' ORDER BY id LIMIT :limit
""")  # noqa: S608
    for by, objects in _OBJECTS.items()
}
_EVENTS = text("SELECT id, object_id, body FROM events WHERE object_id = ANY(:objects) ORDER BY id")
_bodies = given("bodies", [_events.c.id, _events.c.body])
_CHANGE_EVENTS = _events.update().where(_events.c.id == _bodies.c.id).values(body=_bodies.c.body)
_ANSWERS = text("""
    UPDATE delivery_attempts a SET response_body = NULL, response_headers = NULL
    FROM deliveries d JOIN events e ON e.id = d.event_id
    WHERE e.object_id = ANY(:objects) AND a.delivery_id = d.id
      AND (a.response_body IS NOT NULL OR a.response_headers IS NOT NULL)
""")
_ATTEMPT = text("""
    WITH counted AS (
        UPDATE charges SET attempts = attempts + 1 WHERE id = ANY(:charges) RETURNING id, attempts
    )
    INSERT INTO attempts (object_id, number, verb, worker, outcome, detail)
    SELECT id, attempts, 'erase', :who, 'erased', :why FROM counted
""")
# The caller's reason for canceling.
_REASONS = text("""
    UPDATE attempts SET detail = NULL
    WHERE object_id = ANY(:objects) AND verb = 'cancel' AND detail IS NOT NULL
""")
_MESSAGES = text("""
    SELECT id, raw, released_at IS NOT NULL AS is_done FROM quarantined_messages
    WHERE id > :after ORDER BY id LIMIT :limit
""")
_EMPTY = text("""
    UPDATE quarantined_messages SET raw = '', headers = NULL, masked = true WHERE id = ANY(:ids)
""")
