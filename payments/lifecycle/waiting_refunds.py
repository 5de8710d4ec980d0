"""Refunds that wait for their charge to become final."""

from collections.abc import Sequence

from sqlalchemy import String, and_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from models.base import id_among
from models.rows import RefundRow
from models.states import Phase, State
from payments.kinds import REFUND
from payments.transaction import Transaction
from payments.writes import Write


def waited_for_by_held_refunds(transaction: Transaction, charge_ids: Sequence[str]) -> set[str]:
    """Which of these charges, locked by the caller, can't become final now without waiting for a
    lock: those with a waiting refund that another transaction has locked. The waiting refunds of
    the others are locked from now on."""
    if not charge_ids:
        return set()
    wanted = {"ids": list(charge_ids)}
    free = set(transaction.execute(_HOLD_FREE_WAITING, wanted).scalars())
    waiting = transaction.execute(_WAITING, wanted).all()
    return {row.charge_id for row in waiting if row.id not in free}


def unapproved_of(transaction: Transaction, charge_ids: Sequence[str]) -> list[RefundRow]:
    """The refunds of these charges that wait for a second person; locked. The caller has locked the
    charges, as everyone does who decides about such a refund, so this never waits."""
    if not charge_ids:
        return []
    return transaction.read(RefundRow, _HOLD_UNAPPROVED, {"ids": list(charge_ids)})


def wake_refunds_of(transaction: Transaction, final: Sequence[str]) -> None:
    """Make the refunds that waited for these charges, which are final now, due at once."""
    if final:
        transaction.write((_WAKE_REFUNDS, {"final_charges": list(final)}))


# --- The statements, built once ---

_refunds = REFUND.table
_waits = and_(
    _refunds.c.state == State.PENDING.value,
    _refunds.c.phase == Phase.QUEUED.value,
    _refunds.c.lease_token.is_(None),
    # What was woken is on its way; what waits was not, since its claim let it wait.
    _refunds.c.woken_at.is_(None),
)
_of_these = id_among(_refunds.c.charge_id)
_WAITING = select(_refunds.c.id, _refunds.c.charge_id).where(_of_these, _waits)
_HOLD_UNAPPROVED = (
    select(_refunds, func.now().label("now"))
    .where(
        _of_these,
        _refunds.c.state == State.PENDING.value,
        _refunds.c.phase == Phase.AWAITING_APPROVAL.value,
    )
    .order_by(_refunds.c.id)
    .with_for_update(key_share=True)
)
_HOLD_FREE_WAITING = (
    select(_refunds.c.id)
    .where(_of_these, _waits)
    .order_by(_refunds.c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_final = bindparam("final_charges", type_=ARRAY(String))
_woken = (
    update(_refunds)
    .where(_refunds.c.charge_id == func.any(_final), _waits)
    .values(next_attempt_at=func.now(), woken_at=func.now())
    .returning(_refunds.c.id)
    .cte("woken_refunds")
)
_WAKE_REFUNDS = Write([], woken="refunds", wakes=select(_woken.c.id))
