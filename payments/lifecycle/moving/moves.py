"""The only place a state changes.

`move` takes rows that the caller has locked (`payments.lifecycle.locks`), after the prices whose
stock they may return. It checks each move against the table of allowed moves, computes the
resulting row, and writes in one statement: the new state, the attempt, the event and the postings;
then what follows for other rows. One phase is entered elsewhere: a claim puts what was queued
`in_flight` (`payments.lifecycle.claims`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from infra.billing.contract.failures import message_for
from models import Approval, Attempt
from models.base import as_rows, given, id_among, table_of
from models.rows import LifecycleRow, as_charge, as_refund, changed
from models.states import Phase, State, Status, status_of
from payments.access.scopes import owner
from payments.catalog import stock
from payments.kinds import CHARGE, REFUND, Kind, KindOf, R
from payments.ledger.postings import Change, post
from payments.lifecycle.capturing.charge_columns import (
    OF_CHARGES,
    CaptureEnd,
    charge_after,
    end_captures,
)
from payments.lifecycle.locks import locked
from payments.lifecycle.moving.after_move import UNLEASED, after
from payments.lifecycle.moving.move_events import event_of
from payments.lifecycle.waiting_refunds import unapproved_of, wake_refunds_of
from payments.payment_errors import BillingError
from payments.processors.advice import Advised
from payments.processors.outcomes import Fees
from payments.transaction import Moved, Transaction
from payments.webhooks.outbox import Fact, publish
from payments.writes import Write

# A request for approval in these ends when they are left; also when they are entered again, as a
# version that knows no approvals may have left them.
_ASKED_IN = (Phase.NEEDS_REVIEW, Phase.AWAITING_APPROVAL)


class ForbiddenMove(BillingError):
    """A move that the table of moves does not allow was asked for: a bug in this service."""


@dataclass(frozen=True, slots=True)
class Move:
    """One row, its next status, and why. `row` must be locked in this transaction."""

    row: LifecycleRow
    to: Status
    # What was done and its outcome: the attempt in the history.
    verb: str
    outcome: str
    code: str | None = None
    detail: str | None = None
    # Seconds until it is due again; None = never.
    next_in_s: float | None = None
    retries: int = 0
    failure_code: str | None = None
    failure_message: str | None = None
    processor_code: str | None = None
    # What to do about a failure, if the advice of its code does not fit.
    advice: Advised | None = None
    processor_reference: str | None = None
    # How far a look-up got before it ran out of time.
    looked_until: datetime | None = None
    # For a charge that waits for its customer: what they must do, and the time limit if none was
    # set before.
    next_action: Mapping[str, Any] | None = None
    expires_in_s: float | None = None
    # Whether it returns to the state in which nothing was sent for it.
    is_unsent: bool = False
    # For a charge that is captured by hand: how much was captured in all, until when the rest can
    # be (None: as before), and the end of the capture that was under way.
    amount_captured: int | None = None
    capture_before: datetime | None = None
    capture: CaptureEnd | None = None
    # For a charge that succeeded: the processor's fees, if known.
    fees: Fees | None = None
    # Who did it, if not the worker with the lease.
    actor: str | None = None
    # True for what the lease's holder did not do (the sweep or a person did): it gets its own
    # attempt number.
    extra_attempt: bool = False


def ended(row: LifecycleRow, verb: str, code: str, **more: Any) -> Move:
    """The move of a charge that is over without money having moved, for the reason `code`."""
    return Move(
        row,
        State.FAILED,
        verb,
        code,
        failure_code=code,
        failure_message=message_for(code),
        **more,
    )


def move(transaction: Transaction, kind: KindOf[R], moves: Sequence[Move]) -> dict[str, R]:
    """Make the moves and write everything that belongs to them; returns the rows as they are now.

    Raises ForbiddenMove, and writes nothing, if one isn't in the table of moves.
    """
    if not moves:
        return {}
    for one in moves:
        status = status_of(one.row.state, one.row.phase)
        if one.to not in kind.moves[status]:
            raise ForbiddenMove(f"{one.row.id} can't go from {status} to {one.to}")
    if kind is CHARGE:
        moves = _without_unapproved(transaction, moves)
    changes = {one.row.id: _columns_after(kind, one) for one in moves}
    rows: dict[str, Any] = {m.row.id: changed(m.row, **changes[m.row.id]) for m in moves}
    transaction.moved += [Moved(kind.name, m.verb, m.outcome, m.to, rows[m.row.id]) for m in moves]
    attempts = [attempt for m in moves for attempt in (*_overtaken(kind, m), _attempt(m))]
    with transaction.together():
        new = as_rows([{"id": id_, **columns} for id_, columns in changes.items()])
        transaction.write((_MOVE[kind.name], {"moves": new}))
        transaction.write((_NEW_ATTEMPTS, {"new_attempts": as_rows(attempts)}))
        publish(transaction, [fact for m in moves if (fact := _fact(kind, m, rows[m.row.id]))])
        post(transaction, kind.name, [Change(m.row, rows[m.row.id]) for m in moves])
        if kind.name == CHARGE.name:
            wake_refunds_of(transaction, [m.row.id for m in moves if isinstance(m.to, State)])
    if passed := [m.row.id for m in moves if m.row.phase in _ASKED_IN or m.to in _ASKED_IN]:
        transaction.execute(_OVERTAKE_APPROVALS, {"ids": passed})
    if kind.name == REFUND.name:
        _count_refunds(transaction, moves)
        succeeded = (as_refund(m.row) for m in moves if m.to is State.SUCCEEDED)
        back = [row for row in succeeded if row.restock]
        if back:
            stock.restock(transaction, back)
    else:
        end_captures(transaction, [m.capture for m in moves if m.capture is not None])
        by_price = [m for m in moves if as_charge(m.row).price_id is not None]
        final = {m.row.id: m.to for m in by_price if isinstance(m.to, State)}
        if final:
            stock.follow(transaction, final)
    return rows


def _fact(kind: Kind, one: Move, row: LifecycleRow) -> Fact | None:
    """The event that the move to this row publishes; None if it publishes none."""
    if (word := event_of(kind, one)) is None:
        return None
    data = kind.view(row)
    return Fact(f"{kind.name}.{word}", row.id, row.sequence, data, row.now, owner(row))


def _columns_after(kind: Kind, one: Move) -> dict[str, Any]:
    """What the move changes of its row."""
    columns = after(one, has_event=event_of(kind, one) is not None)
    return columns | charge_after(one) if kind is CHARGE else columns


def verb_of(kind: Kind, row: LifecycleRow) -> str:
    """The verb of the attempt that the holder of a row's lease makes."""
    asked_at = as_charge(row).cancel_requested_at if kind.name == CHARGE.name else None
    # A worker that claimed it before the cancellation was requested does something else.
    if asked_at is not None and row.leased_at is not None and row.leased_at >= asked_at:
        return "cancel"
    if row.phase != Phase.IN_FLIGHT:
        return "look_up"
    return "capture" if kind is CHARGE and as_charge(row).authorized_at is not None else kind.name


def _overtaken(kind: Kind, one: Move) -> list[dict[str, Any]]:
    """The attempt whose answer will come after its lease was taken away; it stays on record."""
    row = one.row
    if not one.extra_attempt or row.lease_token is None:
        return []
    verb = verb_of(kind, row)
    return [_attempt(Move(row, one.to, verb, "overtaken", detail=f"by a {one.verb}"))]


def _attempt(one: Move) -> dict[str, Any]:
    return {
        "object_id": one.row.id,
        "number": one.row.attempts + (1 if one.extra_attempt else 0),
        "verb": one.verb,
        "worker": one.actor or one.row.worker,
        "started_at": None if one.extra_attempt else one.row.leased_at,
        "outcome": one.outcome,
        "code": one.code,
        "detail": one.detail,
        "looked_until": one.looked_until,
    }


def _without_unapproved(transaction: Transaction, moves: Sequence[Move]) -> list[Move]:
    """Fail the refunds that wait for a second person along with their charge: they need no approval
    any more. Returns the moves, with the charges as they are without these refunds."""
    # Other charges have no refund that counts, so a declined charge pays nothing for this.
    ids = [m.row.id for m in moves if m.to is State.FAILED and as_charge(m.row).refund_reserved]
    waiting = unapproved_of(transaction, ids)
    if not waiting:
        return list(moves)
    failed = [
        ended(row, "approve", "charge_failed", extra_attempt=True, actor="billing")
        for row in waiting
    ]
    move(transaction, REFUND, failed)
    fewer = locked(transaction, CHARGE, {row.charge_id for row in waiting})
    return [replace(m, row=fewer.get(m.row.id, m.row)) for m in moves]


def _count_refunds(transaction: Transaction, moves: Sequence[Move]) -> None:
    """Update the charges' sums of refunds, which limit all refunds together."""
    changes: dict[str, list[int]] = {}
    for one in moves:
        row = as_refund(one.row)
        change = changes.setdefault(row.charge_id, [0, 0])
        if not row.reserved or row.amount is None:
            continue
        if one.to is State.SUCCEEDED:
            change[0] += row.amount
        elif one.to is State.FAILED:
            change[1] -= row.amount
            if row.state == State.SUCCEEDED:
                change[0] -= row.amount
    rows = [
        {"id": charge_id, "refunded_amount": refunded, "refund_reserved": reserved}
        for charge_id, (refunded, reserved) in sorted(changes.items())
        if refunded or reserved
    ]
    if rows:
        transaction.execute(_COUNT_REFUNDS, {"changes": as_rows(rows)})


# --- The statements, built once ---

_charges, _attempts, _approvals = CHARGE.table, table_of(Attempt), table_of(Approval)
_OVERTAKE_APPROVALS = (
    update(_approvals)
    .where(id_among(_approvals.c.object_id), _approvals.c.state == "pending")
    .values(state="overtaken", decided_at=func.now())
)


_OF_BOTH = (
    "state", "phase", "sequence", "attempts", "retries", "next_attempt_at", "first_called_at",
    "failure_code", "failure_message", "processor_code", "processor_reference", "settled_at",
)  # fmt: skip


def _move_statement(kind: Kind) -> Write:
    table, names = kind.table, (*_OF_BOTH, *(OF_CHARGES if kind is CHARGE else ()))
    new = given("moves", [table.c[name] for name in ("id", *names)])
    values = {name: new.c[name] for name in names} | UNLEASED
    moved = update(table).where(table.c.id == new.c.id).values(values)
    return Write([moved.cte(f"moved_{table.name}")])


_MOVE = {k.name: _move_statement(k) for k in (CHARGE, REFUND)}

_columns_of_attempt = (
    "object_id", "number", "verb", "worker", "started_at", "outcome", "code", "detail",
    "looked_until",
)  # fmt: skip
_attempt_columns = [_attempts.c[name] for name in _columns_of_attempt]
_new_attempts = given("new_attempts", _attempt_columns)
_NEW_ATTEMPTS = Write(
    [
        insert(_attempts)
        .from_select(
            [c.name for c in _attempt_columns],
            select(*(_new_attempts.c[c.name] for c in _attempt_columns)),
            include_defaults=False,  # the table's own; the model's come out as NULL in a CTE
        )
        .cte("written_attempts")
    ]
)

_changes = given("changes", [_charges.c.id, _charges.c.refunded_amount, _charges.c.refund_reserved])
_COUNT_REFUNDS = (
    update(_charges)
    .where(_charges.c.id == _changes.c.id)
    .values(
        refunded_amount=_charges.c.refunded_amount + _changes.c.refunded_amount,
        refund_reserved=_charges.c.refund_reserved + _changes.c.refund_reserved,
    )
)
