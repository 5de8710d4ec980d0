"""Accepting refunds: the one function that every door calls.

A refund reserves its amount on the charge in the transaction that accepts it. It may arrive before
its charge is final, or before the charge exists: then it waits in the queue, and its claim checks
again (`payments.lifecycle.refund_claims`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert

from infra.billing.contract.requests.refund_request import RefundRequest
from models.base import as_rows, given, id_among
from models.rows import ChargeRow, RefundRow
from models.states import Phase, State
from payments.access.scopes import may_refund, other_producer
from payments.approval_policy import NOTHING, Approvals
from payments.catalog.stock import to_restock, units_out
from payments.intake.judging import judge
from payments.intake.timing import objections
from payments.kinds import REFUND
from payments.ledger.postings import Change, post
from payments.lifecycle.accepting.asked import Accepted, NewRefund
from payments.lifecycle.accepting.pending_events import first_sequence, publish_pending
from payments.lifecycle.accepting.refund_reserve import (
    Held,
    is_taken_later,
    most_refundable,
    reserve,
)
from payments.lifecycle.accepting.reuse import key_reused
from payments.lifecycle.approving.holding_back import asked_by, hold_back
from payments.lifecycle.locks import hold_charges
from payments.parsing import judged
from payments.payment_errors import ChargeNotRefundable, NotFound, RefundExceedsCharge, Refused
from payments.processors.processor_limits import ANYTHING, NO_LIMITS, MoneyLimits
from payments.transaction import Transaction


def accept(
    transaction: Transaction,
    new: Sequence[NewRefund],
    held: Held | None = None,
    *,
    limits: Mapping[str, MoneyLimits] = NO_LIMITS,
    approvals: Approvals = NOTHING,
) -> list[Accepted | Refused]:
    """Write the refunds that are new and reserve their amounts; answer each in its place.

    Refused: KeyReused, RefundExceedsCharge, ChargeNotRefundable, NothingToRestock; and of new ones,
    those that came after their own end (`payments.intake.timing`) or break today's rules
    (`payments.intake.judging`). A refund whose charge is pending is accepted and waits (unless it
    says `if_pending: reject`), and so is one whose charge is missing (unless it, or else its door,
    says `if_missing: reject`: NotFound). `held` are their charges, if the caller has locked them
    already; `limits` are those of the processors, by name. A refund that a second person must
    approve by `approvals` is accepted, and waits for that.
    """
    charges = hold_charges(transaction, to_refund=charges_of(new)) if held is None else held
    # Only now: a repeat that waited for the lock must find the first request's refund, and not be
    # refused because that one has reserved all that was left.
    known = _read(transaction, {n.request.id for n in new})
    fresh_requests = [n for n in new if n.request.id not in known]
    timings = {id(one): one.timing for one in fresh_requests}
    against = objections(transaction, timings, may_wait=False)
    left = {id_: most_refundable(row) - row.refund_reserved for id_, row in charges.items()}
    out = units_out(transaction, {n.request.charge_id for n in fresh_requests if n.request.restock})

    rows: dict[str, dict[str, Any]] = {}
    refusals: dict[int, Refused] = {}
    for one in fresh_requests:
        if one.request.id in rows:
            continue  # A repeat within this very call.
        charge = _charge_of(one, charges)
        try:
            judged(one.request)
            if id(one) in against:
                raise against[id(one)]
            amount = _amount_to_reserve(one, charge, left)
            processor = one.processor if charge is None else charge.processor
            judge(
                one.request,
                processor=processor,
                limits=limits.get(processor, ANYTHING),
                amount=amount,
                currency=None if charge is None else charge.currency,
            )
            units = one.request.restock_quantity
            if one.request.restock and charge is not None and not is_taken_later(charge):
                units = to_restock(units, one.request.charge_id, out)
        except Refused as refused:
            refusals[id(one)] = refused
            continue
        if amount is not None:
            left[one.request.charge_id] -= amount
        who = asked_by(approvals, one.asked_by or transaction.acting, one.request.producer)
        rows[one.request.id] = _columns(one, charge, amount, units) | {"asked_by": who}

    inserted = _insert(transaction, list(rows.values()))
    post(transaction, "refund", [Change(None, row) for row in inserted.values()])
    reserve(
        transaction,
        [(row.charge_id, row.amount or 0) for row in inserted.values() if row.reserved],
        charges,
    )
    raced = _read(transaction, rows.keys() - inserted.keys())
    publish_pending(transaction, REFUND, inserted.values())
    transaction.wakes.refunds.update(inserted)
    inserted |= hold_back(transaction, inserted.values(), charges, approvals)

    answers: list[Accepted | Refused] = []
    everything, first = known | raced | inserted, set(inserted)
    for one in new:
        id_ = one.request.id
        row = everything.get(id_)
        if row is None:
            answers.append(refusals[id(one)])
        elif row.fingerprint != one.request.fingerprint:
            answers.append(key_reused(one.request, row, refund_id=id_))
        else:
            answers.append(Accepted(row, fresh=id_ in first))
            first.discard(id_)
    return answers


def charges_of(new: Sequence[NewRefund]) -> set[tuple[str, str | None]]:
    """The ids of the charges to refund, each with the producer that asks; None: any producer's."""
    return {
        (one.request.charge_id, None if one.any_charge else one.request.producer) for one in new
    }


def _charge_of(one: NewRefund, charges: Held) -> ChargeRow | None:
    """The refund's charge, if its caller may see it: others of the batch may see more."""
    charge = charges.get(one.request.charge_id)
    if charge is None:
        return None
    asker, any_charge = one.request.producer, one.any_charge
    return charge if may_refund(charge.producer, asker=asker, any_charge=any_charge) else None


def _amount_to_reserve(
    new: NewRefund, charge: ChargeRow | None, left: Mapping[str, int]
) -> int | None:
    """How much to reserve now; None if that can't be known yet, as the charge is missing or still
    to be captured. Raises Refused."""
    request = new.request
    if charge is None:
        if (request.if_missing or new.if_missing) == "reject":
            raise NotFound(
                "there is no charge with this id; if its message may still be on its way, send"
                " if_missing=wait",
                param="charge_id",
            )
        if request.if_pending == "reject" and request.if_missing is None:
            raise ChargeNotRefundable("there is no charge with this id (yet)", param="charge_id")
        return None
    if charge.state == State.FAILED:
        raise ChargeNotRefundable(
            "the charge failed; there is nothing to refund", param="charge_id"
        )
    if charge.state == State.PENDING and request.if_pending == "reject":
        raise ChargeNotRefundable(
            "the charge is still pending; send if_pending=wait to refund it once it has succeeded",
            param="charge_id",
        )
    if is_taken_later(charge):
        _refuse_what_never_fits(request, charge)
        return None
    available = left[charge.id]
    taken = most_refundable(charge) - available
    expected = request.expected_refunded_amount
    if expected is not None and expected != taken:
        done = charge.refunded_amount
        raise ChargeNotRefundable(
            f"{taken} of the charge is refunded or being refunded (refunded_amount {done},"
            f" refund_pending_amount {taken - done}), not {expected}; "
            "read the charge again before you refund more of it",
            param="expected_refunded_amount",
            refunded=taken,
            refunded_amount=done,
            refund_pending_amount=taken - done,
        )
    amount = available if request.amount is None else request.amount
    if amount > available or amount == 0:
        raise RefundExceedsCharge(
            f"{available} of the charge's {most_refundable(charge)} is left to refund",
            param="amount",
            available=available,
            requested=request.amount,
        )
    return int(amount)


def _refuse_what_never_fits(request: RefundRequest, charge: ChargeRow) -> None:
    """A refund of a charge that is still to be captured waits, and reserves its amount then. Refuse
    now only what can never fit."""
    if request.amount is not None and request.amount > charge.amount:
        raise RefundExceedsCharge(
            f"at most {charge.amount} will be captured of the charge",
            param="amount",
            available=charge.amount,
            requested=request.amount,
        )


def _columns(
    one: NewRefund, charge: ChargeRow | None, amount: int | None, units: int | None
) -> dict[str, Any]:
    request = one.request
    return {
        **{name: getattr(request, name) for name in _OF_REQUEST},
        "id": request.id,
        "fingerprint": request.fingerprint,
        "request_id": one.request_id,
        "traceparent": one.traceparent,
        "charge_producer": charge and other_producer(charge, request.producer),
        "any_charge": one.any_charge,
        "currency": charge and charge.currency,
        "amount": request.amount if amount is None else amount,
        "reserved": amount is not None,
        "restock_quantity": units,
        "processor": charge.processor if charge else one.processor,
        # A refund has the mode of its charge.
        "livemode": charge.livemode if charge else False,
        "warnings": ["charge_disputed"] if charge and charge.disputed_amount else [],
    }


def _insert(transaction: Transaction, rows: list[dict[str, Any]]) -> dict[str, RefundRow]:
    if not rows:
        return {}
    found = transaction.read(RefundRow, _INSERT, {"new": as_rows(rows)})
    return {row.id: row for row in found}


def _read(transaction: Transaction, ids: set[str]) -> dict[str, RefundRow]:
    if not ids:
        return {}
    rows = transaction.read(RefundRow, _READ, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


# --- The statements, built once ---

_t = REFUND.table
# Every field of a request that has a column is written as it came, new fields included.
_OF_REQUEST = tuple(
    name
    for name in RefundRequest.model_fields
    if name in _t.c and name not in ("amount", "restock_quantity")
)
_given_names = (
    *_OF_REQUEST,
    "id",
    "fingerprint",
    "request_id",
    "traceparent",
    "charge_producer",
    "any_charge",
    "currency",
    "amount",
    "reserved",
    "restock_quantity",
    "processor",
    "livemode",
    "warnings",
    "asked_by",
)
_new = given("new", [_t.c[name] for name in _given_names])
_values: dict[str, Any] = {
    **{name: _new.c[name] for name in _given_names},
    "state": literal(State.PENDING.value),
    "phase": literal(Phase.QUEUED.value),
    "sequence": first_sequence(REFUND, _new),
    "next_attempt_at": func.now(),
    # The door also wakes a worker, so the sweep need not.
    "woken_at": func.now(),
}
_INSERT = (
    insert(_t)
    .from_select(list(_values), select(*_values.values()).order_by(_new.c.id))
    .on_conflict_do_nothing()
    .returning(_t, func.now().label("now"))
)
_READ = select(_t, func.now().label("now")).where(id_among(_t.c.id))
