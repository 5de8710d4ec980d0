"""The only place a state changes.

`move` takes rows that the caller has locked (`payments.lifecycle.locks`), and the prices whose
stock may come back with it before them, checks each move against the table of allowed moves, and
writes, in one transaction and in one statement per table: the new state, the attempt that led to
it, the event that tells it, its postings, and what follows from it on other rows. One phase is left
without it: a claim puts what was queued `in_flight` (`payments.lifecycle.claims`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Float, case, func, insert, select, update

from infra.billing.contract.failures import ENDED, message_for
from models import Approval, Attempt
from models.base import as_rows, given, id_among, seconds, table_of
from models.rows import LifecycleRow, as_charge, as_refund
from models.states import Phase, State, Status, phase_of, state_of, status_of
from payments.access.scopes import owner
from payments.catalog import stock
from payments.errors import BillingError
from payments.kinds import CHARGE, REFUND, Kind, KindOf, R
from payments.ledger.postings import Change, post
from payments.lifecycle.capturing.charge_columns import (
    COLUMNS,
    CaptureEnd,
    columns_of_charge,
    end_captures,
    told_of_authorized,
    values_of,
)
from payments.lifecycle.waiting_refunds import unapproved_of, wake_refunds_of
from payments.processors.advice import Advised
from payments.processors.outcomes import Fees
from payments.transaction import Moved, Transaction
from payments.webhooks.events import Fact, publish
from payments.writes import Write

# Which statuses publish an event when they are entered.
PUBLISHED: Mapping[Status, str] = {
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    Phase.NEEDS_REVIEW: "needs_review",
    Phase.AWAITING_APPROVAL: "needs_approval",
}
# What a person was asked about in these is over as soon as they are left, and when they are entered
# again, as a version that knows no approvals may have left them.
_ASKED_IN = (Phase.NEEDS_REVIEW, Phase.AWAITING_APPROVAL)


def told(kind: Kind, one: "Move") -> str | None:
    """What the world is told of a move, once: the second part of the event's type, or None.

    A charge that somebody ended is `canceled` and not `failed`, as receivers do other things then;
    and a customer who has to act is told of once per thing to do.
    """
    if kind is CHARGE:
        if one.to is State.FAILED and one.failure_code in ENDED:
            return "canceled"
        if one.to is Phase.AWAITING_CUSTOMER and _asks_anew(one):
            return "requires_action"
        if one.to is Phase.AUTHORIZED:
            return told_of_authorized(one)
    return PUBLISHED.get(one.to)


def _asks_anew(one: "Move") -> bool:
    return one.next_action is not None and asks_otherwise(one)


def asks_otherwise(one: "Move") -> bool:
    """Whether the customer of a charge has something else to do than before, or nothing more."""
    before, now = as_charge(one.row).next_action, one.next_action
    if before is None or now is None:
        return before is not now
    return bool((before["type"], before["url"]) != (now["type"], now["url"]))


class ForbiddenMove(BillingError):
    """A move that the table of moves does not allow was asked for; this is a bug of ours."""


@dataclass(frozen=True, slots=True)
class Move:
    """One row, where it goes, and why. `row` must be locked in this transaction."""

    row: LifecycleRow
    to: Status
    # What was done and what came of it: the attempt that stays in the history.
    verb: str
    outcome: str
    code: str | None = None
    detail: str | None = None
    # Seconds until somebody looks at it again; None = nobody does.
    next_in_s: float | None = None
    retries: int = 0
    failure_code: str | None = None
    failure_message: str | None = None
    processor_code: str | None = None
    # What to do about a failure, if that is another thing than for others of this code.
    advice: Advised | None = None
    processor_reference: str | None = None
    # How far a look-up came that ran out of time.
    looked_until: datetime | None = None
    # Of a charge that waits for its customer: what is to be done, and for how long it may wait if
    # nothing was said about that before.
    next_action: Mapping[str, Any] | None = None
    expires_in_s: float | None = None
    # Whether it goes back to where nothing was ever sent of it.
    is_unsent: bool = False
    # Of a charge that is captured by hand: what was captured of it in all, until when the rest can
    # be (None: as before), and what became of the capture that was under way.
    amount_captured: int | None = None
    capture_before: datetime | None = None
    capture: CaptureEnd | None = None
    # Of a charge that succeeded: what the processor keeps of it, if that is known.
    fees: Fees | None = None
    # Who did it, when it wasn't the worker that holds the lease.
    actor: str | None = None
    # True for what is not an attempt of the lease's holder (the sweep, a person): it gets a
    # number of its own.
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

    Raises ForbiddenMove when one isn't in the table of moves; nothing is written then.
    """
    if not moves:
        return {}
    for one in moves:
        status = status_of(one.row.state, one.row.phase)
        if one.to not in kind.moves[status]:
            raise ForbiddenMove(f"{one.row.id} can't go from {status} to {one.to}")
    if kind is CHARGE:
        _end_unapproved(transaction, moves)
    written = transaction.read(
        kind.row, _MOVE[kind.name], {"moves": as_rows([_columns(kind, m) for m in moves])}
    )
    rows = {row.id: row for row in written}
    transaction.moved += [Moved(kind.name, m.verb, m.outcome, m.to, rows[m.row.id]) for m in moves]
    attempts = [attempt for m in moves for attempt in (*_overtaken(kind, m), _attempt(m))]
    with transaction.together():
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
    """What the world is told of a move that led to this row, if it is told of it."""
    if (word := told(kind, one)) is None:
        return None
    data = kind.view(row)
    return Fact(f"{kind.name}.{word}", row.id, row.sequence, data, row.now, owner(row))


def _columns(kind: Kind, one: Move) -> dict[str, Any]:
    return {
        "id": one.row.id,
        "state": state_of(one.to),
        "phase": phase_of(one.to),
        "sequence": one.row.sequence + (0 if told(kind, one) is None else 1),
        "attempts": one.row.attempts + (1 if one.extra_attempt else 0),
        "retries": one.retries,
        "next_in_s": one.next_in_s,
        "failure_code": one.failure_code,
        "failure_message": one.failure_message,
        "processor_code": one.processor_code,
        "processor_reference": one.processor_reference,
        "is_unsent": one.is_unsent,
        **(columns_of_charge(one) if kind is CHARGE else {}),
    }


def verb_of(kind: Kind, row: LifecycleRow) -> str:
    """What the holder of a row's lease does: the word for its attempt."""
    asked_at = as_charge(row).cancel_requested_at if kind.name == CHARGE.name else None
    # Who claimed it before the cancellation was asked for does something else.
    if asked_at is not None and row.leased_at is not None and row.leased_at >= asked_at:
        return "cancel"
    if row.phase != Phase.IN_FLIGHT:
        return "look_up"
    return "capture" if kind is CHARGE and as_charge(row).authorized_at is not None else kind.name


def _overtaken(kind: Kind, one: Move) -> list[dict[str, Any]]:
    """The attempt whose answer will find its lease gone; it happened, so it stays on record."""
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


def _end_unapproved(transaction: Transaction, moves: Sequence[Move]) -> None:
    """Refunds that wait for a second person fail with their charge: there is nothing to approve."""
    # The others have no refund that counts, which costs a declined charge nothing.
    ids = [m.row.id for m in moves if m.to is State.FAILED and as_charge(m.row).refund_reserved]
    move(
        transaction,
        REFUND,
        [
            ended(row, "approve", "charge_failed", extra_attempt=True, actor="billing")
            for row in unapproved_of(transaction, ids)
        ],
    )


def _count_refunds(transaction: Transaction, moves: Sequence[Move]) -> None:
    """Carry what became of refunds over to their charges: the sums that bound all refunds."""
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


def _move_statement(kind: Kind) -> Any:
    table = kind.table
    names = [name for name in _columns_of_move if name != "next_in_s"]
    of_charges = COLUMNS if kind is CHARGE else []
    computed = [Column("next_in_s", Float), Column("is_unsent", Boolean)]
    new = given("moves", [*(table.c[n] for n in names), *computed, *of_charges])
    return (
        update(table)
        .where(table.c.id == new.c.id)
        .values(
            state=new.c.state,
            phase=new.c.phase,
            sequence=new.c.sequence,
            attempts=new.c.attempts,
            retries=new.c.retries,
            next_attempt_at=func.now() + seconds(new.c.next_in_s),
            woken_at=None,
            lease_token=None,
            lease_expires_at=None,
            leased_at=None,
            worker=None,
            first_called_at=case((new.c.is_unsent, None), else_=table.c.first_called_at),
            failure_code=new.c.failure_code,
            failure_message=new.c.failure_message,
            processor_code=func.coalesce(new.c.processor_code, table.c.processor_code),
            processor_reference=func.coalesce(
                new.c.processor_reference, table.c.processor_reference
            ),
            settled_at=case(
                (new.c.state != State.PENDING.value, func.greatest(func.now(), table.c.created_at)),
                else_=None,
            ),
            **(values_of(new) if kind is CHARGE else {}),
        )
        .returning(table, func.now().label("now"))
    )


_columns_of_move = (
    "id", "state", "phase", "sequence", "attempts", "retries", "next_in_s", "failure_code",
    "failure_message", "processor_code", "processor_reference",
)  # fmt: skip
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
