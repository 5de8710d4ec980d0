"""What refunds reserve of a charge: counted on the charge, and never more than its amount."""

from collections.abc import Iterable

from sqlalchemy import func, update

from models.base import as_rows, given
from models.rows import ChargeRow
from models.states import State
from payments.kinds import CHARGE
from payments.lifecycle.moving.moves import ForbiddenMove
from payments.transaction import Transaction

# The charges that this transaction has locked, as they stand.
Held = dict[str, ChargeRow]


def reserve(transaction: Transaction, amounts: Iterable[tuple[str, int]], held: Held) -> None:
    """Count what refunds reserve, each with the id of its charge, on charges that are locked;
    `held` is updated.

    Raises ForbiddenMove if it doesn't fit: callers must have checked that it does.
    """
    by_charge: dict[str, int] = {}
    for charge_id, amount in amounts:
        by_charge[charge_id] = by_charge.get(charge_id, 0) + amount
    if by_charge:
        changes = [{"id": id_, "refund_reserved": x} for id_, x in by_charge.items()]
        reserved = transaction.read(ChargeRow, _RESERVE, {"changes": as_rows(changes)})
        if len(reserved) != len(changes):
            raise ForbiddenMove("a refund would have exceeded its charge")
        held |= {row.id: row for row in reserved}


def most_refundable(charge: ChargeRow) -> int:
    """How much of a charge that succeeded was taken, and can be refunded."""
    return charge.amount if charge.amount_captured is None else charge.amount_captured


def is_taken_later(charge: ChargeRow) -> bool:
    """Whether the amount that will be captured is still open, so refunds can't reserve theirs."""
    return charge.state == State.PENDING and charge.amount_captured is not None


# --- The statement, built once ---

_charges = CHARGE.table
_changes = given("changes", [_charges.c.id, _charges.c.refund_reserved])
_RESERVE = (
    update(_charges)
    .where(
        _charges.c.id == _changes.c.id,
        # The rows are locked and checked already. The bound is checked here again, and by a
        # constraint of the table.
        _charges.c.refund_reserved + _changes.c.refund_reserved
        <= func.coalesce(_charges.c.amount_captured, _charges.c.amount),
    )
    .values(refund_reserved=_charges.c.refund_reserved + _changes.c.refund_reserved)
    .returning(_charges, func.now().label("now"))
)
