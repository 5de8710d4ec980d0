"""Deciding: a second person approves what was asked for, and it is done; or rejects it.

One transaction locks the object, closes the request, makes the move and writes the audit row. A
process that dies before its commit has decided nothing; one that dies after it has left a row that
is due, which the sweep finds.
"""

from functools import partial
from typing import Any, Literal

from sqlalchemy import bindparam, func, select, update

from infra.billing.contract.failures import message_for
from models import Approval
from models.base import table_of
from models.rows import ApprovalRow, LifecycleRow
from models.states import Phase, State, status_of
from payments.access import audit_log
from payments.acting import Acting
from payments.catalog.stock import hold_prices_of
from payments.kinds import REFUND, Kind, kind_of
from payments.lifecycle import reviews
from payments.lifecycle.approving import waiting
from payments.lifecycle.locks import hold_charges, locked
from payments.lifecycle.moving.moves import Move, move
from payments.payment_errors import InvalidRequest, MoveNotAllowed, NotFound, SecondPersonRequired
from payments.transaction import Transaction, first
from payments.views import standing

Verdict = Literal["approved", "rejected"]
_VERB = {"approved": "approve", "rejected": "reject"}


def decide(transaction: Transaction, approval_id: str, verdict: Verdict) -> ApprovalRow:
    """Approve or reject, as the person acting, who must give a reason.

    Repeating a decision returns the same answer. The person who asked may not approve, neither
    under that name nor under the same account or key; they may reject, which withdraws the request.
    Raises NotFound, SecondPersonRequired, MoveNotAllowed, InvalidRequest.
    """
    acting = audit_log.acting_in(transaction)
    why = acting.reason
    if not why.strip():
        raise InvalidRequest("say why; it stays in the history", param="reason")
    asked = waiting.get(transaction.connection, approval_id)
    kind = kind_of(asked.object_id)
    assert kind is not None, "approvals are of charges and refunds"
    hold_prices_of(transaction, **{f"{kind.name}s": [asked.object_id]})
    if kind is REFUND:
        hold_charges(transaction, of_refunds=[asked.object_id])
    row = locked(transaction, kind, [asked.object_id]).get(asked.object_id)
    # Only now: everyone who decides it, or settles it otherwise, locks the object first.
    asked = _locked(transaction, approval_id)
    if row is None:
        raise NotFound(f"there is no {kind.name} with this id", param="id")
    if asked.state == verdict:
        return asked
    if asked.state != "pending":
        by = f" by {asked.decided_by}" if asked.decided_by else ""
        raise MoveNotAllowed(f"it was {asked.state}{by} already")
    if verdict == "approved" and is_same(asked, acting):
        raise SecondPersonRequired(
            f"{asked.requested_by} asked for this; somebody else must approve it, under another"
            " name, account and key"
        )
    decided = transaction.read(
        ApprovalRow,
        _DECIDE,
        {
            "its_id": asked.id,
            "its_state": verdict,
            "who": acting.actor,
            "under": acting.account,
            "because": why,
        },
    )
    act = partial(audit_log.record, transaction, f"approval.{_VERB[verdict]}", row.id)
    after = _carry_out(transaction, kind, row, asked, verdict, acting)
    approval = {"approval_id": asked.id, "of": asked.action, "requested_by": asked.requested_by}
    act(before={**standing(row), **approval}, after={**standing(after), **approval})
    return decided[0]


def is_same(asked: ApprovalRow, acting: Acting) -> bool:
    """Whether the person acting is the one who asked, by any name that is known of them."""
    theirs = {asked.requested_by, asked.requested_account} - {None}
    # A request by message was made by its producer, so a key of that producer is no second person.
    ours = {acting.actor, acting.account, acting.producer} - {None}
    return not {str(one).casefold() for one in theirs}.isdisjoint(
        str(one).casefold() for one in ours
    )


def _carry_out(
    transaction: Transaction,
    kind: Kind,
    row: LifecycleRow,
    asked: ApprovalRow,
    verdict: Verdict,
    acting: Acting,
) -> LifecycleRow:
    """Do what was asked for, or end it; returns the row afterwards."""
    if asked.action != "refund.create":
        if verdict == "rejected":
            return row
        both = f"{asked.requested_by} and {acting.name}"
        why = f"{asked.request_reason}; approved: {acting.reason}"
        decision: Any = asked.decision
        return reviews.settle(transaction, kind, row, decision, who=both, why=why)
    if row.phase != Phase.AWAITING_APPROVAL:
        raise MoveNotAllowed(f"it is {status_of(row.state, row.phase)}; nothing waits there")
    one = Move(
        row,
        Phase.QUEUED,
        verb="approve",
        outcome=verdict,
        detail=acting.reason,
        actor=acting.name,
        extra_attempt=True,
        next_in_s=0.0,
    )
    if verdict == "rejected":
        code = "approval_rejected"
        one = Move(
            row,
            State.FAILED,
            verb="approve",
            outcome=verdict,
            detail=acting.reason,
            actor=acting.name,
            extra_attempt=True,
            failure_code=code,
            failure_message=message_for(code),
        )
    moved = move(transaction, kind, [one])
    if verdict == "approved":
        transaction.wakes.refunds.add(row.id)
    done: LifecycleRow = moved[row.id]
    return done


def _locked(transaction: Transaction, id_: str) -> ApprovalRow:
    row = first(transaction.connection, ApprovalRow, _LOCK, {"its_id": id_})
    if row is None:
        raise NotFound("there is no approval with this id", param="id")
    return row


# --- The statements, built once ---

_t = table_of(Approval)
_LOCK = select(_t).where(_t.c.id == bindparam("its_id")).with_for_update()
_DECIDE = (
    update(_t)
    .where(_t.c.id == bindparam("its_id"))
    .values(
        state=bindparam("its_state"),
        decided_by=bindparam("who"),
        decided_account=bindparam("under"),
        decision_reason=bindparam("because"),
        decided_at=func.now(),
    )
    .returning(_t)
)
