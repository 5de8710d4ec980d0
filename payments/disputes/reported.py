"""Disputes as processors report them.

A dispute is not decided here: it is answered at the processor, and decided by the bank. We keep its
state, publish it to producers, and count on the charge what the bank has taken back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, bindparam, cast, func, insert, select, update

from infra.billing.contract.ids import dispute_id
from models import Dispute
from models.base import id_among, table_of
from models.rows import ChargeRow, DisputeRow
from models.states import DISPUTE_CLOSED, DISPUTE_HOLDS_MONEY, DISPUTE_MOVES, DisputeState
from payments.kinds import CHARGE
from payments.ledger.postings import Change, post
from payments.processors.outcomes import Disputed
from payments.processors.port import ProcessorEvent
from payments.transaction import Transaction
from payments.views import dispute_view
from payments.webhooks.outbox import Fact, publish


def apply(
    transaction: Transaction, events: Sequence[ProcessorEvent], charges: Mapping[str, ChargeRow]
) -> int:
    """Write the state of disputes from the reports of the processor of these `charges`, which are
    locked; returns how many brought something new.

    Reports come in any order: one that is older than what is known changes nothing, and neither
    does one about a dispute that is over.
    """
    reports = [(e.object_id, e.outcome) for e in events if isinstance(e.outcome, Disputed)]
    reports = [one for one in reports if one[0] in charges]
    changed: set[str] = set()
    # One at a time: the second report of a dispute builds on what the first one wrote.
    for charge_id, report in sorted(reports, key=lambda one: one[1].told_at):
        if _apply_one(transaction, charges[charge_id], report):
            changed.add(charge_id)
    if changed:
        transaction.execute(_COUNT, {"ids": sorted(changed)})
    return len(changed)


def _apply_one(transaction: Transaction, charge: ChargeRow, report: Disputed) -> bool:
    id_ = dispute_id(charge.processor, report.reference)
    known = transaction.read(DisputeRow, _READ, {"ids": [id_]})
    stands = {
        "state": report.state,
        "amount": report.amount,
        "currency": report.currency,
        "reason": report.reason,
        "respond_by": report.respond_by,
    }
    is_closed = report.state in DISPUTE_CLOSED
    if not known:
        of_charge = ("producer", "processor", "livemode")
        new = {
            "id": id_,
            "charge_id": charge.id,
            "processor_reference": report.reference,
            "told_at": report.told_at,
            **{name: getattr(charge, name) for name in of_charge},
            **stands,
        }
        (row,) = transaction.read(DisputeRow, _INSERT.values(new))
        post(transaction, "dispute", [Change(None, row)])
        _tell(transaction, row, "opened")
        if is_closed:
            (row,) = transaction.read(DisputeRow, _CLOSE, {"id_": id_})
            _tell(transaction, row, "closed")
        return True
    (row,) = known
    is_new = any(getattr(row, name) != value for name, value in stands.items())
    may_move = DisputeState(report.state) in DISPUTE_MOVES[DisputeState(row.state)]
    if not is_new or not may_move or report.told_at < row.told_at:
        return False
    changes: dict[str, Any] = {**stands, "told_at": report.told_at, "sequence": row.sequence + 1}
    changes["closed_at"] = func.now() if is_closed else None
    changed = _UPDATE.where(_t.c.id == id_).values(changes)
    before, (row,) = row, transaction.read(DisputeRow, changed)
    post(transaction, "dispute", [Change(before, row)])
    _tell(transaction, row, "closed" if is_closed else "updated")
    return True


def _tell(transaction: Transaction, row: DisputeRow, what: str) -> None:
    fact = Fact(f"dispute.{what}", row.id, row.sequence, dispute_view(row), row.now, row.producer)
    publish(transaction, [fact])


# --- The statements, built once ---

_t, _charges = table_of(Dispute), CHARGE.table
_now = func.now().label("now")
_READ = select(_t, _now).where(id_among(_t.c.id))
_INSERT = insert(_t).returning(_t, _now)
_UPDATE = update(_t).returning(_t, _now)
_CLOSE = (
    update(_t)
    .where(_t.c.id == bindparam("id_"))
    .values(sequence=_t.c.sequence + 1, closed_at=func.now())
    .returning(_t, _now)
)
# sum() of bigint is numeric; amounts are whole numbers, so are their sums.
_taken_back = (
    select(cast(func.coalesce(func.sum(_t.c.amount), 0), BigInteger))
    .where(
        _t.c.charge_id == _charges.c.id,
        _t.c.state.in_(sorted(DISPUTE_HOLDS_MONEY)),
    )
    .scalar_subquery()
)
_COUNT = update(_charges).where(id_among(_charges.c.id)).values(disputed_amount=_taken_back)
