"""Captures at the sandbox: only of authorized money, and never more than is left of it.

The answer to a capture is the state of its charge; so the charge's row counts, locked after that of
the capture's key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, case, null, select, update

from models.base import as_rows, given, id_among
from models.rows import SandboxRequestRow, changed
from payments.processors.outcomes import Found, NotFound
from payments.processors.port import Order
from payments.processors.sandbox import ledger
from payments.processors.sandbox.aftermath import foresee
from payments.processors.sandbox.sandbox_answers import (
    KEY_REUSED,
    SERVER_ERROR,
    Answer,
    outcome_of,
)
from payments.processors.sandbox.sandbox_requests import REQUESTS
from payments.processors.sandbox.sandbox_scripts import PLAIN, Script, script_for
from payments.processors.sandbox.transitions import turn_these
from payments.processors.sandbox.verdicts import decided, verdict_on
from payments.transaction import read

Charges = dict[str | None, SandboxRequestRow]


def hold_charges(connection: Connection, orders: Sequence[Order]) -> Charges:
    """The charges of captures and refunds, by our id, locked in the order of keys."""
    keys = {f"{order.charge_id}:charge" for order in orders if order.charge_id is not None}
    return _charges(connection, keys, lock=True) if keys else {}


def capture(
    connection: Connection,
    orders: Sequence[Order],
    rows: Mapping[str, SandboxRequestRow],
    charges: Charges,
) -> dict[str, Answer]:
    """Make these captures, whose own `rows` are locked, and so are `charges`; the answers by their
    keys."""
    changes = _Changes()
    answers = {order.key: _answer(order, rows[order.key], charges, changes) for order in orders}
    changes.write(connection, charges)
    return answers


def look_up(
    connection: Connection, orders: Sequence[Order], rows: Mapping[str, SandboxRequestRow]
) -> dict[str, Answer]:
    """The state of the charges of these captures, for those that were executed."""
    if not orders:
        return {}
    charges = _charges(connection, {f"{order.charge_id}:charge" for order in orders}, lock=False)
    return {
        order.key: Answer(_found(order, rows.get(order.key), charges.get(order.charge_id)))
        for order in orders
    }


@dataclass(slots=True)
class _Changes:
    """The changes by the captures of one call."""

    decided: list[Mapping[str, Any]] = field(default_factory=list)
    movements: list[Mapping[str, Any]] = field(default_factory=list)
    charge_ids: set[str] = field(default_factory=set)

    def write(self, connection: Connection, charges: Charges) -> None:
        if self.decided:
            connection.execute(_DECIDE, {"decided": as_rows(self.decided)})
        changed = [
            {name: getattr(charges[id_], name) for name in ("key", "status", "captured")}
            for id_ in sorted(self.charge_ids)
        ]
        ended = sorted(self.charge_ids)
        if changed:
            connection.execute(_FOLLOW, {"changed": as_rows(changed)})
        ledger.move(connection, self.movements)
        foresee(connection, [charges[i] for i in ended if charges[i].status == "succeeded"])


def _answer(
    order: Order,
    row: SandboxRequestRow,
    charges: Charges,
    changes: _Changes,
) -> Answer:
    charge = charges.get(order.charge_id)
    if row.status != "open":
        return Answer(_found(order, row, charge))
    if charge is not None and charge.status in ("succeeded", "declined", "canceled"):
        return Answer(outcome_of(charge))  # it has ended
    objection = _objection_to(order, charge)
    script = objection or script_for(charge.payment_method_id if charge else None).captures or PLAIN
    verdict = verdict_on(script, call=row.calls)
    if verdict.standing.status == "open":
        return verdict.answer
    changes.decided.append({"key": order.key, **asdict(verdict.standing)})
    captured = decided(row, verdict.standing)
    if charge is not None and captured.status == "succeeded":
        charge = charges[order.charge_id] = _less(charge, order)
        changes.charge_ids.add(charge.object_id)
        changes.movements.append(ledger.movement(captured, "capture"))
    return _told(script, _found(order, captured, charge))


def _objection_to(order: Order, charge: SandboxRequestRow | None) -> Script | None:
    if charge is None or charge.status == "open":
        return _refused("no_such_charge")
    if charge.status != "authorized":
        return _refused("charge_not_authorized")
    if charge.currency != order.currency:
        return _refused("currency_mismatch")
    if charge.captured + order.amount > charge.amount:
        return _refused("amount_exceeds_authorization")
    return None


def _less(charge: SandboxRequestRow, order: Order) -> SandboxRequestRow:
    """The charge after this capture. Nothing stays authorized if everything was captured, or this
    was the last capture."""
    captured = charge.captured + order.amount
    is_over = order.final or captured == charge.amount
    return changed(charge, captured=captured, status="succeeded" if is_over else "authorized")


def _told(script: Script, found: Found) -> Answer:
    """The answer to the call that was executed, which may get lost; later ones give the true
    state."""
    match script.answer:
        case "silence":
            return Answer(None)
        case "server_error":
            return Answer(SERVER_ERROR)
    return Answer(found, script.delay_s)


def _found(order: Order, row: SandboxRequestRow | None, charge: SandboxRequestRow | None) -> Found:
    if row is None or row.status == "open":
        return NotFound()
    if (row.amount, row.currency) != (order.amount, order.currency):
        return KEY_REUSED
    if row.status != "succeeded" or charge is None:
        return outcome_of(row)
    return outcome_of(charge)


def _refused(processor_code: str) -> Script:
    return Script(status="declined", code="capture_declined", processor_code=processor_code)


def _charges(connection: Connection, keys: set[str], *, lock: bool) -> Charges:
    """The present rows of charges."""
    turn_these(connection, keys)
    statement = _LOCK if lock else _READ
    found = read(connection, SandboxRequestRow, statement, {"ids": sorted(keys)})
    return {row.object_id: row for row in found}


# --- The statements, built once ---

_READ = select(REQUESTS).where(id_among(REQUESTS.c.key)).order_by(REQUESTS.c.key)
_LOCK = _READ.with_for_update()
_decided = given(
    "decided",
    [REQUESTS.c[name] for name in ("key", "status", "reference", "code", "processor_code")],
)
_DECIDE = (
    update(REQUESTS)
    .where(REQUESTS.c.key == _decided.c.key)
    .values(
        status=_decided.c.status,
        reference=_decided.c.reference,
        code=_decided.c.code,
        processor_code=_decided.c.processor_code,
    )
)
_changed = given("changed", [REQUESTS.c[name] for name in ("key", "status", "captured")])
_is_over = _changed.c.status != "authorized"
_FOLLOW = (
    update(REQUESTS)
    .where(REQUESTS.c.key == _changed.c.key)
    .values(
        status=_changed.c.status,
        captured=_changed.c.captured,
        # An ended charge releases nothing more by itself.
        turns_at=case((_is_over, null()), else_=REQUESTS.c.turns_at),
        turns_to=case((_is_over, null()), else_=REQUESTS.c.turns_to),
    )
)
