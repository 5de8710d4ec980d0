"""Finding what is due, whether or not a message announces it, and what a dead worker left behind.

Every sweep is idempotent and skips locked rows, so any number of sweepers may run at once.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    String,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from models.base import id_among
from models.states import Phase, State
from payments.kinds import CHARGE, REFUND, Kind
from payments.lifecycle.moving.moves import Move, move, verb_of
from payments.transaction import Transaction

# A wake-up without effect within this time counts as lost.
WAKE_AGAIN_S = 10.0
# Rows that wait for a processor that we don't have are woken now and then, as other workers may
# have it: so rarely, and so few at a time, that they delay nothing else.
WAKE_ELSEWHERE_S = 60.0
ELSEWHERE_MAX = 100
BATCH = 500


def is_anything_due(kind: Kind) -> ColumnElement[bool]:
    """Whether a lease has expired or a row is to be woken: what the two sweeps below would find."""
    table = kind.table
    again = case((_is_of_ours(kind), WAKE_AGAIN_S), else_=WAKE_ELSEWHERE_S)
    woken_before = func.now() - again * timedelta(seconds=1)
    expired, due = select(table.c.id).where(*_expired(kind)), select(table.c.id).where(*_due(kind))
    due = due.where(or_(table.c.woken_at.is_(None), table.c.woken_at < woken_before))
    return or_(expired.exists(), due.exists())


def expire_leases(transaction: Transaction, kind: Kind, *, limit: int = BATCH) -> int:
    """Take back the leases that have expired; returns how many.

    Their holders may have reached the processor, so an attempt in flight ends as unknown and is
    looked up at once.
    """
    rows = transaction.read(kind.row, _EXPIRED[kind.name], {"limit": limit})
    moves = [
        Move(
            row,
            Phase.UNKNOWN if row.phase == Phase.IN_FLIGHT else Phase(row.phase),
            verb=verb_of(kind, row),
            outcome="lease_expired",
            detail="the worker did not come back before its lease ran out",
            next_in_s=0.0,
        )
        for row in rows
    ]
    move(transaction, kind, moves)
    _note_woken(transaction, kind, [row.id for row in rows])
    return len(rows)


def wake_due(
    transaction: Transaction, kind: Kind, *, processors: Collection[str], limit: int = BATCH
) -> int:
    """Note the rows that are due and were not woken lately, to be woken at commit: first those that
    name one of `processors`."""
    if limit <= 0:
        return 0
    asked = {"processors": list(processors), "limit": limit}
    ids = list(transaction.execute(_DUE[kind.name], asked).scalars())
    asked["limit"] = min(limit - len(ids), ELSEWHERE_MAX)
    ids += transaction.execute(_DUE_ELSEWHERE[kind.name], asked).scalars()
    _note_woken(transaction, kind, ids)
    return len(ids)


def _note_woken(transaction: Transaction, kind: Kind, ids: Sequence[str]) -> None:
    if ids:
        transaction.execute(_MARK_WOKEN[kind.name], {"ids": list(ids)})
        transaction.wakes.of(kind.name).update(ids)


# --- The statements, built once ---


def _expired(kind: Kind) -> tuple[ColumnElement[bool], ...]:
    return kind.table.c.lease_token.is_not(None), kind.table.c.lease_expires_at < func.now()


def _due(kind: Kind) -> tuple[ColumnElement[bool], ...]:
    return (
        # Written out, not a parameter: a generic plan can't use the partial index.
        kind.table.c.state == literal(State.PENDING.value, literal_execute=True),
        kind.table.c.lease_token.is_(None),
        kind.table.c.next_attempt_at <= func.now(),
    )


def _is_of_ours(kind: Kind) -> ColumnElement[bool]:
    # With a cast: an empty array literal has no type.
    names = cast(bindparam("processors", type_=ARRAY(String)), ARRAY(String))
    return kind.table.c.processor == func.any(names)


def _expired_statement(kind: Kind) -> Any:
    table = kind.table
    return (
        select(table, func.now().label("now"))
        .where(*_expired(kind))
        .order_by(table.c.lease_expires_at)
        .limit(bindparam("limit"))
        .with_for_update(key_share=True, skip_locked=True)
    )


def _due_statement(kind: Kind, *, elsewhere: bool) -> Any:
    table = kind.table
    is_ours = _is_of_ours(kind)
    again_s = WAKE_ELSEWHERE_S if elsewhere else WAKE_AGAIN_S
    return (
        select(table.c.id)
        .where(
            *_due(kind),
            ~is_ours if elsewhere else is_ours,
            or_(
                table.c.woken_at.is_(None),
                table.c.woken_at < func.now() - timedelta(seconds=again_s),
            ),
        )
        .order_by(table.c.next_attempt_at)
        .limit(bindparam("limit"))
        .with_for_update(key_share=True, skip_locked=True)
    )


def _mark_woken_statement(kind: Kind) -> Any:
    return update(kind.table).where(id_among(kind.table.c.id)).values(woken_at=func.now())


_EXPIRED = {kind.name: _expired_statement(kind) for kind in (CHARGE, REFUND)}
_DUE = {kind.name: _due_statement(kind, elsewhere=False) for kind in (CHARGE, REFUND)}
_DUE_ELSEWHERE = {kind.name: _due_statement(kind, elsewhere=True) for kind in (CHARGE, REFUND)}
_MARK_WOKEN = {kind.name: _mark_woken_statement(kind) for kind in (CHARGE, REFUND)}
