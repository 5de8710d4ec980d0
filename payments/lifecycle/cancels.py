"""Ending charges: at once if nothing was sent for them, else by asking the processor first.

The request is written down with its actor and reason. A charge that was never sent fails in the
same transaction. Any other is due at once, and the only call that a worker then makes for it is to
cancel (`payments.lifecycle.executor`); the processor's answer decides, as money may have moved in
the meantime. A charge that a worker has leased is left to it, and is canceled as soon as that call
is answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import bindparam, case, func, literal, or_, select, update

from infra.billing.contract.failures import ENDED
from models.base import as_rows, given, id_among
from models.rows import ChargeRow
from models.states import Phase, State
from payments.access import audit_log
from payments.access.audit_log import Action
from payments.access.scopes import OPERATOR, Access, owner
from payments.acting import Acting
from payments.catalog.price_locks import hold_free
from payments.catalog.stock import hold_prices_of
from payments.intake.timing import ANY_TIME, Timing, objections
from payments.kinds import CHARGE
from payments.lifecycle.locks import locked
from payments.lifecycle.moving.moves import move
from payments.lifecycle.settlement import canceled
from payments.lifecycle.waiting_refunds import waited_for_by_held_refunds
from payments.payment_errors import ChargeNotCancelable, NotFound, Refused
from payments.transaction import Transaction
from payments.views import standing

BATCH = 500


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A request to end a charge. A charge that `access` doesn't see is not found.

    `acting` is the actor, if the transaction serves several. `reason` is erased with other texts of
    callers about a customer; operators' reasons for what they do are kept.
    """

    charge_id: str
    acting: Acting | None = None
    reason: str | None = None
    access: Access = OPERATOR
    timing: Timing = ANY_TIME


def cancel(transaction: Transaction, asked: Sequence[Cancellation]) -> list[ChargeRow | Refused]:
    """Write down that these charges are to end, and end those for which nothing was sent. Returns
    an answer for each in its place: the charge as it stands now, or the refusal.

    A charge that is canceled already, or about to be, is returned as it is. Refused: NotFound;
    ChargeNotCancelable if it succeeded, failed, or needs a person; and requests outside their own
    time limits (`payments.intake.timing`).
    """
    ids = _seen(transaction, asked)
    hold_prices_of(transaction, charges=sorted(ids))
    rows = locked(transaction, CHARGE, ids)
    answers: list[ChargeRow | Refused | None] = [_objection(rows, one) for one in asked]
    new = {
        place: one
        for place, one in enumerate(asked)
        if answers[place] is None and _is_open(rows[one.charge_id])
    }
    timings = {place: one.timing for place, one in new.items()}
    for place, refused in objections(transaction, timings, may_wait=False).items():
        answers[place] = refused
        del new[place]
    # Of several requests for one charge, the first is recorded.
    first: dict[str, Cancellation] = {}
    for one in new.values():
        first.setdefault(one.charge_id, one)
    before = {id_: standing(rows[id_]) for id_ in first}
    rows |= _end(
        transaction,
        [
            _End(one.charge_id, audit_log.acting_in(transaction, one.acting).name, one.reason)
            for one in first.values()
        ],
        "canceled",
    )
    audit_log.record_all(
        transaction,
        [
            Action("charge.cancel", id_, before[id_], _canceled(rows[id_]), one.acting)
            for id_, one in first.items()
        ],
    )
    return [
        rows[one.charge_id] if answer is None else answer
        for one, answer in zip(asked, answers, strict=True)
    ]


def cancel_expired(transaction: Transaction, *, limit: int = BATCH) -> int:
    """Ask for the end of charges that have expired, or whose authorization has; returns how many.
    It never waits for a lock: a charge that is locked, or whose price or waiting refund is, is left
    to the next sweep."""
    over = [
        *transaction.execute(_OVER, {"limit": limit}),
        *transaction.execute(_AUTHORIZATION_OVER, {"limit": limit}),
    ]
    if not over:
        return 0
    prices = hold_free(transaction, {row.price_id for row in over if row.price_id is not None})
    free = [row.id for row in over if row.price_id is None or row.price_id in prices]
    # Checked again now that they are locked: another sweep may have been faster.
    rows = locked(transaction, CHARGE, free, skip_locked=True)
    over_now = {id_: row for id_, row in rows.items() if may_expire(row)}
    stuck = waited_for_by_held_refunds(
        transaction, [id_ for id_, row in over_now.items() if _is_unsent(row)]
    )
    ids = [id_ for id_ in over_now if id_ not in stuck]
    _end(transaction, [_End(id_, "billing") for id_ in ids], "expired")
    return len(ids)


@dataclass(frozen=True, slots=True)
class _End:
    """A charge to end, who asks for it, and why."""

    charge_id: str
    by: str
    reason: str | None = None


def _canceled(row: ChargeRow) -> dict[str, object]:
    return {**standing(row), "cancel_requested_by": row.cancel_requested_by}


def _seen(transaction: Transaction, asked: Sequence[Cancellation]) -> set[str]:
    """The charges that the callers may see. Others are not locked either: waiting for the lock
    would reveal that they exist, and delay their owners."""
    if not asked:
        return set()
    ids = sorted({one.charge_id for one in asked})
    owners = {row.id: owner(row) for row in transaction.read(ChargeRow, _OWNERS, {"ids": ids})}
    return {
        one.charge_id
        for one in asked
        if one.charge_id in owners and one.access.sees(owners[one.charge_id])
    }


def _objection(rows: dict[str, ChargeRow], one: Cancellation) -> Refused | None:
    row = rows.get(one.charge_id)
    if row is None or not one.access.sees(owner(row)):
        return NotFound("there is no charge with this id", param="charge_id")
    if row.state == State.SUCCEEDED:
        return ChargeNotCancelable("the charge has succeeded; refund it instead", state="succeeded")
    if row.state == State.FAILED and row.failure_code not in ENDED:
        return ChargeNotCancelable(
            f"the charge has failed ({row.failure_code}); there is nothing to cancel",
            state="failed",
        )
    if row.phase == Phase.NEEDS_REVIEW:
        return ChargeNotCancelable(
            "nobody could find out whether money moved; a person decides (billing resolve)",
            state="pending",
        )
    return None


def _is_open(row: ChargeRow) -> bool:
    """Whether no cancellation has been requested yet."""
    return row.state == State.PENDING and row.cancel_requested_at is None


def may_expire(row: ChargeRow) -> bool:
    """Whether it has expired, by its own `now`, and nothing has changed that."""
    until = row.capture_before if row.phase == Phase.AUTHORIZED else row.expires_at
    return (
        until is not None and until <= row.now and _is_open(row) and row.phase != Phase.NEEDS_REVIEW
    )


def _is_unsent(row: ChargeRow) -> bool:
    """Whether nothing was sent for it, and no worker is about to: it ends at once."""
    was_sent = row.first_called_at is not None or row.authorized_at is not None
    return not was_sent and row.lease_token is None


def _end(
    transaction: Transaction, asked: Sequence["_End"], code: Literal["canceled", "expired"]
) -> dict[str, ChargeRow]:
    """Write it down, and end what was never sent. The charges are held, and their prices."""
    pending = [
        {
            "id": one.charge_id,
            "cancel_requested_by": one.by,
            "cancel_reason": one.reason,
            "cancel_code": code,
        }
        for one in asked
    ]
    if not pending:
        return {}
    rows = {
        row.id: row for row in transaction.read(ChargeRow, _REQUEST, {"asked": as_rows(pending)})
    }
    unsent = [
        canceled(row, "cancel", detail=row.cancel_reason, actor=row.cancel_requested_by,
                 extra_attempt=True)
        for row in rows.values()
        if _is_unsent(row)
    ]  # fmt: skip
    rows |= move(transaction, CHARGE, unsent)
    transaction.wakes.charges.update(
        id_ for id_, row in rows.items() if row.state == State.PENDING and row.lease_token is None
    )
    return rows


# --- The statements, built once ---

_t = CHARGE.table
_names = ("id", "cancel_requested_by", "cancel_reason", "cancel_code")
_asked = given("asked", [_t.c[name] for name in _names])
_is_free = _t.c.lease_token.is_(None)
_REQUEST: Any = (
    update(_t)
    .where(
        _t.c.id == _asked.c.id,
        _t.c.state == State.PENDING.value,
        _t.c.cancel_requested_at.is_(None),
    )
    .values(
        cancel_requested_at=func.now(),
        **{name: _asked.c[name] for name in _names if name != "id"},
        # A leased charge is moved on by its worker; then it is due at once
        # (payments.lifecycle.settlement).
        next_attempt_at=case((_is_free, func.now()), else_=_t.c.next_attempt_at),
        woken_at=case((_is_free, func.now()), else_=_t.c.woken_at),
    )
    .returning(_t, func.now().label("now"))
)
_OWNERS = select(_t.c.id, _t.c.producer).where(id_among(_t.c.id))
_AUTHORIZATION_OVER = (
    select(_t.c.id, _t.c.price_id)
    .where(
        # Written out, for the partial index.
        _t.c.phase == literal(Phase.AUTHORIZED.value, literal_execute=True),
        _t.c.cancel_requested_at.is_(None),
        _t.c.capture_before <= func.now(),
    )
    .order_by(_t.c.capture_before)
    .limit(bindparam("limit"))
)
_OVER = (
    select(_t.c.id, _t.c.price_id)
    .where(
        # Written out, for the partial index.
        _t.c.state == literal(State.PENDING.value, literal_execute=True),
        _t.c.cancel_requested_at.is_(None),
        _t.c.expires_at <= func.now(),
        _t.c.phase != Phase.NEEDS_REVIEW.value,
    )
    .order_by(_t.c.expires_at)
    .limit(bindparam("limit"))
)
# Whether `cancel_expired` would find any.
ANY_OVER = or_(
    _AUTHORIZATION_OVER.order_by(None).limit(None).exists(),
    _OVER.order_by(None).limit(None).exists(),
)
