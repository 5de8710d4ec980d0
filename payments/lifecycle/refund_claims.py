"""Claiming refunds whose charge has succeeded; the others wait for it, or fail with it."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Float, func, update

from infra.billing.contract.failures import message_for
from models.base import as_rows, given, seconds
from models.rows import ChargeRow, RefundRow, changed
from models.states import State
from payments.access.scopes import may_refund, other_producer
from payments.approval_policy import NOTHING, Approvals
from payments.catalog.stock import to_restock, units_out
from payments.kinds import REFUND
from payments.ledger.postings import Change, post
from payments.lifecycle.accepting.refund_reserve import (
    Held,
    is_taken_later,
    most_refundable,
    reserve,
)
from payments.lifecycle.approving.holding_back import hold_back
from payments.lifecycle.claims import Claimed, Lease, NotDue, not_due, refund_order, take
from payments.lifecycle.locks import locked
from payments.lifecycle.moving.moves import Move, move
from payments.payment_errors import NothingToRestock
from payments.transaction import Transaction

# Messages overtake each other by seconds; ten minutes cover a producer that retries.
CHARGE_MISSING_MAX = timedelta(minutes=10)
# A charge that becomes final wakes its refunds, so these pauses are for lost wake-ups, and for
# giving up. A missing charge is looked for again after half the time that it has been missing:
# quickly at first, while a thousand refunds of nothing don't flood the queue.
CHARGE_MISSING_MIN_S = 2.0
CHARGE_MISSING_MAX_S = 60.0
CHARGE_PENDING_S = 30.0


def claim_refunds(
    transaction: Transaction,
    leases: Mapping[str, Lease],
    charges: Held,
    *,
    processors: Collection[str],
    approvals: Approvals = NOTHING,
) -> dict[str, Claimed | NotDue]:
    """Claim the refunds that are due and whose charge has succeeded at one of `processors`.

    The others are moved on here: they wait for their charge, or for a second person (`approvals`),
    or fail with it. Unknown ids are absent from the answer. `charges` are theirs, locked by the
    caller; a charge that was written since counts as missing.
    """
    rows = locked(transaction, REFUND, leases, skip_locked=True)
    left = {id_: most_refundable(row) - row.refund_reserved for id_, row in charges.items()}
    back = [row.charge_id for row in rows.values() if row.restock and not row.reserved]
    out = units_out(transaction, back)
    ready: dict[str, Lease] = {}
    failures: list[Move] = []
    waits: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    misnamed: list[dict[str, Any]] = []
    for id_, row in rows.items():
        if not _is_due(row, leases[id_]):
            continue
        charge = _charge_of(row, charges)
        verdict = _verdict(row, charge)
        knows_amount = charge is not None and not is_taken_later(charge)
        if charge is not None and knows_amount and not row.reserved and verdict != "charge_failed":
            reserved = _reserved_late(row, charge, left, out)
            if isinstance(reserved, str):
                verdict = reserved
            else:
                late.append(reserved)
        if charge is not None and row.processor != charge.processor:
            # It was accepted before its charge, under the name of the processor for new charges at
            # that time.
            misnamed.append({"id": id_, "processor": charge.processor})
        if verdict is None:
            ready[id_] = leases[id_]
        elif isinstance(verdict, float):
            waits.append({"id": id_, "wait_s": verdict})
        else:
            processor = row.processor if charge is None else charge.processor
            failures.append(_failed(changed(row, processor=processor), verdict))
    if misnamed:
        transaction.execute(_NAME_PROCESSOR, {"misnamed": as_rows(misnamed)})
    reserved_late: list[RefundRow] = []
    if late:
        reserved_late = transaction.read(RefundRow, _RESERVE_LATE, {"late": as_rows(late)})
        post(transaction, "refund", [Change(None, row) for row in reserved_late])
        reserve(transaction, [(one["charge_id"], one["amount"]) for one in late], charges)
    if waits:
        transaction.execute(_WAIT, {"waits": as_rows(waits)})
    move(transaction, REFUND, failures)
    waiting = hold_back(transaction, reserved_late, charges, approvals)
    ready = {id_: one for id_, one in ready.items() if id_ not in waiting}

    taken = take(transaction, REFUND, ready, processors=processors)
    claims: dict[str, Claimed | NotDue] = {}
    for id_, refund in taken.items():
        held_charge = charges[refund.charge_id]
        order = refund_order(refund, held_charge)
        claims[id_] = Claimed(REFUND, refund, leases[id_].token, order, held_charge.processor)
    return claims | not_due(transaction, REFUND, [i for i in leases if i not in taken])


def _charge_of(row: RefundRow, charges: Held) -> ChargeRow | None:
    """Its charge, if its caller may see it: others of the batch may see more. A refund that has
    reserved its amount was checked then, and keeps its charge."""
    charge = charges.get(row.charge_id)
    if charge is None or row.reserved:
        return charge
    asker, any_charge = row.producer, row.any_charge
    return charge if may_refund(charge.producer, asker=asker, any_charge=any_charge) else None


def _verdict(row: RefundRow, charge: ChargeRow | None) -> float | str | None:
    """None = claim it; a number = seconds to wait for the charge; a text = the failure code."""
    if charge is None and row.reserved:
        return CHARGE_MISSING_MIN_S  # Not locked by this transaction; its money may have moved.
    if charge is None:
        missing_for = row.now - row.created_at
        if missing_for >= CHARGE_MISSING_MAX:
            return "charge_not_found"
        half_s: float = missing_for.total_seconds() / 2
        left_s: float = (CHARGE_MISSING_MAX - missing_for).total_seconds()
        return max(CHARGE_MISSING_MIN_S, min(CHARGE_MISSING_MAX_S, half_s, left_s))
    if charge.state == State.FAILED:
        return "charge_failed"
    if charge.state != State.PENDING:
        return None
    # A scheduled charge is not checked before its time; its end wakes the refund.
    scheduled_at = charge.scheduled_at or row.now
    return max(CHARGE_PENDING_S, float((scheduled_at - row.now).total_seconds()))


def _reserved_late(
    row: RefundRow, charge: ChargeRow, left: dict[str, int], out: dict[str, int]
) -> dict[str, Any] | str:
    """What a refund that came before its charge reserves now; or the failure code."""
    available = left[charge.id]
    amount = available if row.amount is None else row.amount
    as_expected = row.expected_refunded_amount in (None, most_refundable(charge) - available)
    if amount == 0 or amount > available or not as_expected:
        return "refund_exceeds_charge"
    units = row.restock_quantity
    if row.restock:
        try:
            units = to_restock(units, charge.id, out)
        except NothingToRestock as refused:
            return refused.code
    left[charge.id] -= amount
    return {
        "id": row.id,
        "charge_id": charge.id,
        "amount": amount,
        "currency": charge.currency,
        "livemode": charge.livemode,
        "charge_producer": other_producer(charge, row.producer),
        "restock_quantity": units,
    }


def _failed(row: RefundRow, code: str) -> Move:
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


def _is_due(row: RefundRow, lease: Lease) -> bool:
    if row.state != State.PENDING:
        return False
    if row.lease_token is not None:
        return bool(row.lease_token == lease.token)
    return row.next_attempt_at is not None and row.next_attempt_at <= row.now


# --- The statements, built once ---

_t = REFUND.table
_LATE = ("id", "amount", "currency", "livemode", "charge_producer", "restock_quantity")
_late = given("late", [_t.c[n] for n in _LATE])
_RESERVE_LATE = (
    update(_t)
    .where(_t.c.id == _late.c.id)
    .values(
        amount=_late.c.amount,
        currency=_late.c.currency,
        livemode=_late.c.livemode,
        charge_producer=_late.c.charge_producer,
        restock_quantity=_late.c.restock_quantity,
        reserved=True,
    )
    .returning(_t, func.now().label("now"))
)
_misnamed = given("misnamed", [_t.c.id, _t.c.processor])
_NAME_PROCESSOR = (
    update(_t).where(_t.c.id == _misnamed.c.id).values(processor=_misnamed.c.processor)
)
_waits = given("waits", [_t.c.id, Column("wait_s", Float)])
_WAIT = (
    update(_t)
    .where(_t.c.id == _waits.c.id)
    # woken_at is cleared, so that the sweep wakes it as soon as the wait is over.
    .values(next_attempt_at=func.now() + seconds(_waits.c.wait_s), woken_at=None)
)
