"""Accepting and claiming refunds: never more than the charge, and never before it.

A refund reserves its amount on the charge in the transaction that accepts it. It may arrive
before its charge is final, or before it is there at all: then it waits, queued, and its claim
looks again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Float, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from models.base import as_rows, given, id_among, seconds
from models.states import Phase, State
from payments.claims import Claimed, Lease, NotDue, Row, not_due, refund_order, take
from payments.declines import message_for
from payments.errors import ChargeNotRefundable, KeyReused, RefundExceedsCharge, Refused
from payments.kinds import CHARGE, REFUND
from payments.lifecycle import ForbiddenMove, Move, hold_charges, locked, move
from payments.requests import RefundRequest
from payments.transaction import Transaction
from payments.views import refund_view
from payments.webhooks.events import Fact, publish

# Messages overtake each other by seconds; ten minutes cover a producer that retries.
CHARGE_MISSING_MAX = timedelta(minutes=10)
# How often a refund looks whether its charge has arrived. (When a charge that is there becomes
# final, that move wakes its refunds; the second number is for the wake-up that got lost.)
CHARGE_MISSING_S = 2.0
CHARGE_PENDING_S = 30.0


# The charges that this transaction has locked, as they stand.
Held = dict[str, Row]


@dataclass(frozen=True, slots=True)
class NewRefund:
    """A request to accept."""

    request: RefundRequest
    processor: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The refund is in the database. `fresh` is False for a repeat of an earlier request."""

    row: Row
    fresh: bool


def hold(transaction: Transaction, new: Sequence[NewRefund] = (), ids: Iterable[str] = ()) -> Held:
    """Lock the charges of refunds to accept and of refunds to claim.

    A transaction that does both holds them first and passes them on: a charge that turned up in
    between would be locked out of order.
    """
    return hold_charges(transaction, ids={n.request.charge_id for n in new}, of_refunds=ids)


def accept(
    transaction: Transaction, new: Sequence[NewRefund], held: Held | None = None
) -> list[Accepted | Refused]:
    """Write the refunds that are new and reserve their amounts; answer each in its place.

    Refused: KeyReused, RefundExceedsCharge, ChargeNotRefundable. A refund whose charge is
    pending or missing is accepted and waits (unless it says `if_pending: reject`).
    """
    charges = hold(transaction, new) if held is None else held
    # Only now: a repeat that waited here for the first one must find it, and not be told that
    # the first one has taken all that was left.
    known = _read(transaction, {n.request.id for n in new})
    fresh_requests = [n for n in new if n.request.id not in known]
    left = {id_: row["amount"] - row["refund_reserved"] for id_, row in charges.items()}

    rows: dict[str, dict[str, Any]] = {}
    refusals: dict[int, Refused] = {}
    for one in fresh_requests:
        if one.request.id in rows:
            continue  # A repeat within this very call.
        charge = charges.get(one.request.charge_id)
        try:
            amount = _amount_to_reserve(one.request, charge, left)
        except Refused as refused:
            refusals[id(one)] = refused
            continue
        if amount is not None:
            left[one.request.charge_id] -= amount
        rows[one.request.id] = _columns(one, charge, amount)

    inserted = _insert(transaction, list(rows.values()))
    _reserve(transaction, [row for row in inserted.values() if row["reserved"]], charges)
    raced = _read(transaction, rows.keys() - inserted.keys())
    publish(
        transaction,
        [
            Fact("refund.pending", id_, row["sequence"], refund_view(row), row["now"])
            for id_, row in inserted.items()
        ],
    )
    transaction.wakes.refunds.update(inserted)

    answers: list[Accepted | Refused] = []
    everything, first = known | raced | inserted, set(inserted)
    for one in new:
        id_ = one.request.id
        row = everything.get(id_)
        if row is None:
            answers.append(refusals[id(one)])
        elif row["fingerprint"] != one.request.fingerprint:
            answers.append(KeyReused(param="idempotency_key", refund_id=id_))
        else:
            answers.append(Accepted(row, fresh=id_ in first))
            first.discard(id_)
    return answers


def claim_refunds(
    transaction: Transaction, leases: Mapping[str, Lease], held: Held | None = None
) -> dict[str, Claimed | NotDue]:
    """Claim the refunds that are due and whose charge has succeeded.

    The others are moved on here: they wait for their charge, or fail with it. Ids that no refund
    has are absent from the answer.
    """
    charges = hold(transaction, ids=leases) if held is None else held
    rows = locked(transaction, REFUND, leases, skip_locked=True)
    left = {id_: row["amount"] - row["refund_reserved"] for id_, row in charges.items()}
    ready: dict[str, Lease] = {}
    failures: list[Move] = []
    waits: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    for id_, row in rows.items():
        if not _is_due(row, leases[id_]):
            continue
        charge = charges.get(row["charge_id"])
        verdict = _verdict(row, charge)
        if charge is not None and not row["reserved"] and verdict != "charge_failed":
            reserved = _reserved_late(row, charge, left)
            if reserved is None:
                verdict = "refund_exceeds_charge"
            else:
                late.append(reserved)
        if verdict is None:
            ready[id_] = leases[id_]
        elif isinstance(verdict, float):
            waits.append({"id": id_, "wait_s": verdict})
        else:
            failures.append(_failed(row, verdict))
    if late:
        transaction.execute(_RESERVE_LATE, {"late": as_rows(late)})
        _reserve(transaction, late, charges)
    if waits:
        transaction.execute(_WAIT, {"waits": as_rows(waits)})
    move(transaction, REFUND, failures)

    taken = take(transaction, REFUND, ready)
    claims: dict[str, Claimed | NotDue] = {
        id_: Claimed(REFUND, row, leases[id_].token, refund_order(row, charges[row["charge_id"]]))
        for id_, row in taken.items()
    }
    return claims | not_due(transaction, REFUND, [i for i in leases if i not in taken])


def _verdict(row: Row, charge: Row | None) -> None | float | str:
    """None = go; a number = seconds to wait for the charge; a text = the failure code."""
    if charge is None:
        missing_too_long = row["now"] - row["created_at"] >= CHARGE_MISSING_MAX
        return "charge_not_found" if missing_too_long else CHARGE_MISSING_S
    if charge["state"] == State.FAILED:
        return "charge_failed"
    return CHARGE_PENDING_S if charge["state"] == State.PENDING else None


def _amount_to_reserve(
    request: RefundRequest, charge: Row | None, left: Mapping[str, int]
) -> int | None:
    """How much to reserve now; None while the charge is not there. Raises Refused."""
    if charge is None:
        if request.if_pending == "reject":
            raise ChargeNotRefundable("there is no charge with this id (yet)", param="charge_id")
        return None
    if charge["state"] == State.FAILED:
        raise ChargeNotRefundable(
            "the charge failed; there is nothing to refund", param="charge_id"
        )
    if charge["state"] == State.PENDING and request.if_pending == "reject":
        raise ChargeNotRefundable(
            "the charge is still pending; send if_pending=wait to refund it once it has succeeded",
            param="charge_id",
        )
    available = left[charge["id"]]
    taken = charge["amount"] - available
    expected = request.expected_refunded_amount
    if expected is not None and expected != taken:
        raise ChargeNotRefundable(
            f"{taken} of the charge is refunded or being refunded, not {expected}; "
            "read the charge again before you refund more of it",
            param="expected_refunded_amount",
            refunded=taken,
        )
    amount = available if request.amount is None else request.amount
    if amount > available or amount == 0:
        raise RefundExceedsCharge(
            f"{available} of the charge's {charge['amount']} is left to refund",
            param="amount",
            available=available,
            requested=amount,
        )
    return int(amount)


def _reserved_late(row: Row, charge: Row, left: dict[str, int]) -> dict[str, Any] | None:
    """What a refund that came before its charge reserves now; None when too little is left."""
    available = left[charge["id"]]
    amount = available if row["amount"] is None else row["amount"]
    as_expected = row["expected_refunded_amount"] in (None, charge["amount"] - available)
    if amount == 0 or amount > available or not as_expected:
        return None
    left[charge["id"]] -= amount
    return {
        "id": row["id"],
        "charge_id": charge["id"],
        "amount": amount,
        "currency": charge["currency"],
    }


def _failed(row: Row, code: str) -> Move:
    return Move(
        row,
        State.FAILED,
        verb="refund",
        outcome="not_sent",
        failure_code=code,
        failure_message=message_for(code),
        extra_attempt=True,
        actor="billing",
    )


def _is_due(row: Row, lease: Lease) -> bool:
    if row["state"] != State.PENDING:
        return False
    if row["lease_token"] is not None:
        return bool(row["lease_token"] == lease.token)
    return row["next_attempt_at"] is not None and row["next_attempt_at"] <= row["now"]


def _columns(one: NewRefund, charge: Row | None, amount: int | None) -> dict[str, Any]:
    request = one.request
    return {
        "id": request.id,
        "producer": request.producer,
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "charge_id": request.charge_id,
        "currency": charge and charge["currency"],
        "amount": request.amount if amount is None else amount,
        "reserved": amount is not None,
        "reason": request.reason,
        "if_pending": request.if_pending,
        "expected_refunded_amount": request.expected_refunded_amount,
        "metadata": request.metadata,
        "processor": one.processor,
    }


def _insert(transaction: Transaction, rows: list[dict[str, Any]]) -> dict[str, Row]:
    if not rows:
        return {}
    found = transaction.execute(_INSERT, {"new": as_rows(rows)}).mappings()
    return {row["id"]: row for row in found}


def _read(transaction: Transaction, ids: set[str]) -> dict[str, Row]:
    if not ids:
        return {}
    rows = transaction.execute(_READ, {"ids": sorted(ids)}).mappings()
    return {row["id"]: row for row in rows}


def _reserve(transaction: Transaction, rows: Sequence[Row], held: Held) -> None:
    by_charge: dict[str, int] = {}
    for row in rows:
        by_charge[row["charge_id"]] = by_charge.get(row["charge_id"], 0) + row["amount"]
    if by_charge:
        changes = [{"id": id_, "refund_reserved": x} for id_, x in by_charge.items()]
        reserved = transaction.execute(_RESERVE, {"changes": as_rows(changes)}).mappings().all()
        if len(reserved) != len(changes):
            raise ForbiddenMove("a refund would have exceeded its charge")
        held |= {row["id"]: row for row in reserved}


# --- The statements, built once ---

_t, _charges = REFUND.table, CHARGE.table
_given_names = (
    "id",
    "producer",
    "idempotency_key",
    "fingerprint",
    "charge_id",
    "currency",
    "amount",
    "reserved",
    "reason",
    "if_pending",
    "expected_refunded_amount",
    "metadata",
    "processor",
)
_new = given("new", [_t.c[name] for name in _given_names])
_values: dict[str, Any] = {
    **{name: _new.c[name] for name in _given_names},
    "state": literal(State.PENDING.value),
    "phase": literal(Phase.QUEUED.value),
    "sequence": literal(1),
    "next_attempt_at": func.now(),
    # The door that accepts it also wakes a worker; the sweep need not.
    "woken_at": func.now(),
}
_INSERT = (
    insert(_t)
    .from_select(list(_values), select(*_values.values()).order_by(_new.c.id))
    .on_conflict_do_nothing()
    .returning(_t, func.now().label("now"))
)
_READ = select(_t, func.now().label("now")).where(id_among(_t.c.id))

_changes = given("changes", [_charges.c.id, _charges.c.refund_reserved])
_RESERVE = (
    update(_charges)
    .where(
        _charges.c.id == _changes.c.id,
        # The rows are locked and were checked; the bound stands here once more, and once more as
        # a constraint of the table.
        _charges.c.refund_reserved + _changes.c.refund_reserved <= _charges.c.amount,
    )
    .values(refund_reserved=_charges.c.refund_reserved + _changes.c.refund_reserved)
    .returning(_charges, func.now().label("now"))
)

_late = given("late", [_t.c.id, _t.c.amount, _t.c.currency])
_RESERVE_LATE = (
    update(_t)
    .where(_t.c.id == _late.c.id)
    .values(amount=_late.c.amount, currency=_late.c.currency, reserved=True)
)
_waits = given("waits", [_t.c.id, Column("wait_s", Float)])
_WAIT = (
    update(_t)
    .where(_t.c.id == _waits.c.id)
    # woken_at is cleared, so that the sweep wakes it as soon as the wait is over.
    .values(next_attempt_at=func.now() + seconds(_waits.c.wait_s), woken_at=None)
)
