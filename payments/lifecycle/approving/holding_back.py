"""Asking for a second person: the approval row, written in the transaction of the request.

A refund is accepted like any other, with its amount reserved, and then moved to
`awaiting_approval`, where it is never claimed. A decision about a row in `needs_review` has no
effect yet but this row.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert, select

from infra.billing.contract.ids import APPROVAL_PREFIX, random_id
from models import Approval
from models.base import id_among, table_of
from models.rows import ApprovalRow, ChargeRow, LifecycleRow, RefundRow
from models.states import Phase
from payments.acting import Acting, by_message
from payments.approval_policy import Approvals
from payments.kinds import REFUND, Kind
from payments.lifecycle.moving.moves import Move, move
from payments.payment_errors import MoveNotAllowed
from payments.transaction import Transaction


def asked_by(
    approvals: Approvals, acting: Acting | None, producer: str
) -> dict[str, str | None] | None:
    """Who asks for a refund, as the approval row keeps it; for a message, its producer. None if no
    refund needs approval."""
    if not approvals.refunds_above:
        return None
    acting = acting or by_message(producer, "")
    return {"by": acting.actor, "account": acting.account, "reason": acting.why}


def hold_back(
    transaction: Transaction,
    refunds: Iterable[RefundRow],
    charges: Mapping[str, ChargeRow],
    approvals: Approvals,
) -> dict[str, RefundRow]:
    """Make those of these refunds wait that a second person must approve. They are queued, and new
    or locked; `charges` are theirs, with their amounts reserved. Returns the waiting ones as they
    are then.

    All refunds of a transaction count together: one approval too many costs less than one too few.
    """
    rows = [
        (row, row.asked_by or {"by": row.producer, "account": None, "reason": None})
        for row in refunds
        if row.reserved and _must_wait(charges[row.charge_id], approvals)
    ]
    if not rows:
        return {}
    moves = [
        Move(
            row,
            Phase.AWAITING_APPROVAL,
            verb="approve",
            outcome="asked",
            actor=who["by"],
            extra_attempt=True,
        )
        for row, who in rows
    ]
    waiting = move(transaction, REFUND, moves)
    new = [{**_of("refund.create", waiting[row.id], who), "decision": None} for row, who in rows]
    transaction.execute(_INSERT, new)  # type: ignore[arg-type]  # a list of columns
    transaction.wakes.refunds.difference_update(waiting)
    return waiting


def _must_wait(charge: ChargeRow, approvals: Approvals) -> bool:
    return approvals.wants_refund(charge.refund_reserved, charge.currency)


def ask_to_resolve(
    transaction: Transaction, kind: Kind, row: LifecycleRow, decision: str, acting: Acting
) -> ApprovalRow:
    """The request to resolve a row in this way: the one that waits already, or a new one. The row
    is locked and needs review. Raises MoveNotAllowed if another decision waits."""
    waiting = transaction.read(ApprovalRow, _OPEN, {"ids": [row.id]})
    for one in waiting:
        if one.decision != decision:
            raise MoveNotAllowed(
                f"{one.requested_by} has asked to resolve it as {one.decision}, which waits for"
                f" somebody else: approve or reject {one.id} first"
            )
        return one
    who = {"by": acting.actor, "account": acting.account, "reason": acting.reason}
    new = {**_of(f"{kind.name}.resolve", row, who), "decision": decision}
    (made,) = transaction.read(ApprovalRow, _INSERT.returning(_t), new)
    return made


def _of(action: str, row: Any, who: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "id": random_id(APPROVAL_PREFIX),
        "state": "pending",
        "action": action,
        "object_id": row.id,
        "amount": row.amount,
        "currency": row.currency,
        "requested_by": who["by"],
        "requested_account": who["account"],
        "request_reason": who["reason"],
    }


# --- The statements, built once ---

_t = table_of(Approval)
_INSERT = insert(_t)
_OPEN = select(_t).where(id_among(_t.c.object_id), _t.c.state == "pending")
