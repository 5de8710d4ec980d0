"""Which rows a transaction locks, and in which order.

Prices (`payments.catalog.price_locks`) before charges, charges before refunds, in the order of ids,
and all of a kind with one statement: so transactions may wait for each other, but never in a
circle. A lookup key that a price is about to get comes before all of them (`lock_lookup_keys`).
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import String, bindparam, func, or_, select, union
from sqlalchemy.dialects.postgresql import ARRAY

from models.base import as_rows, given, id_among
from models.rows import ChargeRow
from payments.access.scopes import may_refund_where
from payments.kinds import CHARGE, REFUND, Kind, KindOf, R
from payments.transaction import Transaction


def locked(
    transaction: Transaction, kind: KindOf[R], ids: Iterable[str], *, skip_locked: bool = False
) -> dict[str, R]:
    """The rows of `ids`, locked until the end of the transaction, with `now` beside their columns.

    Lock the charges before their refunds.
    """
    wanted = list(ids)
    if not wanted:
        return {}
    rows = transaction.read(kind.row, _LOCK[kind.name, skip_locked], {"ids": wanted})
    return {row.id: row for row in rows}


def hold_charges(
    transaction: Transaction,
    *,
    ids: Iterable[str] = (),
    of_refunds: Iterable[str] = (),
    to_refund: Iterable[tuple[str, str | None]] = (),
) -> dict[str, ChargeRow]:
    """Lock the charges of `ids`, those of the refunds `of_refunds`, and those of the requests
    `to_refund` (their ids, each with the producer that asks; None: it may refund any producer's).

    A charge that the producer may not refund is left out, and not locked either: waiting for the
    lock would reveal that it exists (`payments.access.scopes`).

    All with one statement: a transaction that locked them in two could deadlock with another.
    """
    asked = [{"id": id_, "producer": producer} for id_, producer in set(to_refund)]
    refund_ids = list(of_refunds)
    if not refund_ids and not asked:
        return locked(transaction, CHARGE, ids)
    wanted = {"ids": list(ids), "refund_ids": refund_ids, "asked": as_rows(asked)}
    rows = transaction.read(ChargeRow, _HOLD_CHARGES, wanted)
    return {row.id: row for row in rows}


# --- The statements, built once ---

_charges, _refunds = CHARGE.table, REFUND.table
_theirs = _charges.alias("theirs")
_asked = given("asked", [_charges.c.id, _charges.c.producer])


def _lock_statement(kind: Kind, skip_locked: bool) -> Any:
    return (
        select(kind.table, func.now().label("now"))
        .where(id_among(kind.table.c.id))
        .order_by(kind.table.c.id)
        .with_for_update(key_share=True, skip_locked=skip_locked)
    )


_LOCK = {
    (k.name, skip): _lock_statement(k, skip) for k in (CHARGE, REFUND) for skip in (True, False)
}
_HOLD_CHARGES = (
    select(_charges, func.now().label("now"))
    .where(
        _charges.c.id.in_(
            union(
                select(func.unnest(bindparam("ids", type_=ARRAY(String)))),
                select(_theirs.c.id).where(
                    _theirs.c.id == _asked.c.id,
                    may_refund_where(
                        _theirs.c.producer,
                        asker=_asked.c.producer,
                        any_charge=_asked.c.producer.is_(None),
                    ),
                ),
                select(_theirs.c.id).where(
                    _theirs.c.id == _refunds.c.charge_id,
                    _refunds.c.id == func.any(bindparam("refund_ids", type_=ARRAY(String))),
                    # Access was checked when it reserved its amount, once and for all.
                    or_(
                        _refunds.c.reserved,
                        may_refund_where(
                            _theirs.c.producer,
                            asker=_refunds.c.producer,
                            any_charge=_refunds.c.any_charge,
                        ),
                    ),
                ),
            )
        )
    )
    .order_by(_charges.c.id)
    .with_for_update(key_share=True)
)
