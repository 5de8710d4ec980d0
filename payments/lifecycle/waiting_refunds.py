"""Refunds that wait for their charge to become final."""

from collections.abc import Sequence

from sqlalchemy import and_, func, select, update

from models.base import id_among
from models.rows import RefundRow
from models.states import Phase, State
from payments.kinds import REFUND
from payments.transaction import Transaction


def waited_for_by_held_refunds(transaction: Transaction, charge_ids: Sequence[str]) -> set[str]:
    """Which of these charges, that the caller has locked, can't become final now without waiting
    for somebody: those with a waiting refund that another transaction holds. The others' waiting
    refunds are held from now on."""
    if not charge_ids:
        return set()
    wanted = {"ids": list(charge_ids)}
    free = set(transaction.execute(_HOLD_FREE_WAITING, wanted).scalars())
    waiting = transaction.execute(_WAITING, wanted).all()
    return {row.charge_id for row in waiting if row.id not in free}


def unapproved_of(transaction: Transaction, charge_ids: Sequence[str]) -> list[RefundRow]:
    """The refunds of these charges, which the caller holds, that wait for a second person; locked.
    Whoever decides about one holds its charge, too, so that nobody is waited for."""
    if not charge_ids:
        return []
    return transaction.read(RefundRow, _HOLD_UNAPPROVED, {"ids": list(charge_ids)})


def wake_refunds_of(transaction: Transaction, final: Sequence[str]) -> None:
    """What waited for these charges, which are final now, is due at once."""
    if final:
        woken = transaction.execute(_WAKE_REFUNDS, {"ids": list(final)})
        transaction.wakes.refunds.update(woken.scalars())


# --- The statements, built once ---

_refunds = REFUND.table
_is_waiting = and_(
    id_among(_refunds.c.charge_id),
    _refunds.c.state == State.PENDING.value,
    _refunds.c.phase == Phase.QUEUED.value,
    _refunds.c.lease_token.is_(None),
    # What was woken is on its way; what waits was not, since its claim let it wait.
    _refunds.c.woken_at.is_(None),
)
_WAITING = select(_refunds.c.id, _refunds.c.charge_id).where(_is_waiting)
_HOLD_UNAPPROVED = (
    select(_refunds, func.now().label("now"))
    .where(
        id_among(_refunds.c.charge_id),
        _refunds.c.state == State.PENDING.value,
        _refunds.c.phase == Phase.AWAITING_APPROVAL.value,
    )
    .order_by(_refunds.c.id)
    .with_for_update(key_share=True)
)
_HOLD_FREE_WAITING = (
    select(_refunds.c.id)
    .where(_is_waiting)
    .order_by(_refunds.c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_WAKE_REFUNDS = (
    update(_refunds)
    .where(_is_waiting)
    .values(next_attempt_at=func.now(), woken_at=func.now())
    .returning(_refunds.c.id)
)
