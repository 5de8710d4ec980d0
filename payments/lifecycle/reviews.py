"""A person's decision about a charge or a refund that nothing else can settle."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from infra.billing.contract.failures import message_for
from models.rows import CaptureRow, ChargeRow, LifecycleRow, as_charge
from models.states import Phase, State, Status, status_of
from payments.access import audit_log
from payments.approval_policy import Approvals
from payments.catalog.stock import hold_prices_of
from payments.kinds import REFUND, Kind, kind_of
from payments.lifecycle.approving.holding_back import ask_to_resolve
from payments.lifecycle.capturing.authorizations import is_by_hand
from payments.lifecycle.capturing.charge_columns import CaptureEnd
from payments.lifecycle.claims import captures_under_way
from payments.lifecycle.locks import hold_charges, locked
from payments.lifecycle.moving.moves import Move, move
from payments.payment_errors import InvalidRequest, MoveNotAllowed
from payments.payment_errors import NotFound as NoSuchObject
from payments.transaction import Transaction
from payments.views import standing

Decision = Literal["succeeded", "failed", "retry"]
_TO: Mapping[Decision, Status] = {
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "retry": Phase.QUEUED,
}


def resolve(
    transaction: Transaction,
    object_id: str,
    decision: Decision,
    *,
    approvals: Approvals,
) -> LifecycleRow:
    """Settle what stands at `needs_review`, or queue it again: a move like any other, by the person
    acting, who must give a reason. If a second person must approve that, only the request for it is
    written (`payments.lifecycle.approving`); the row is returned as it stands.

    `retry` sends with the same processor key again: only right if the person has seen at the
    processor that nothing moved. Raises NotFound, MoveNotAllowed, InvalidRequest.
    """
    kind = kind_of(object_id)
    if kind is None:
        raise InvalidRequest("send the id of a charge (ch_…) or a refund (re_…)", param="id")
    acting = audit_log.acting_in(transaction)
    why = acting.reason
    hold_prices_of(transaction, **{f"{kind.name}s": [object_id]})
    if kind is REFUND:
        hold_charges(transaction, of_refunds=[object_id])
    row: LifecycleRow | None = locked(transaction, kind, [object_id]).get(object_id)
    if row is None:
        raise NoSuchObject(f"there is no {kind.name} with this id", param="id")
    if row.phase != Phase.NEEDS_REVIEW:
        raise MoveNotAllowed(
            f"it is {status_of(row.state, row.phase)}; only what needs review can be resolved"
        )
    if approvals.resolve:
        asked = ask_to_resolve(transaction, kind, row, decision, acting)
        request = {"approval_id": asked.id, "decision": decision}
        audit_log.record(transaction, "approval.request", object_id, after=request)
        return row
    resolved = settle(transaction, kind, row, decision, who=acting.name, why=why)
    audit_log.record(
        transaction,
        f"{kind.name}.resolve",
        object_id,
        before=standing(row),
        after=standing(resolved),
    )
    return resolved


def settle(
    transaction: Transaction,
    kind: Kind,
    row: LifecycleRow,
    decision: Decision,
    *,
    who: str,
    why: str,
) -> LifecycleRow:
    """Make the move that was decided of a row that is locked, as are its charge and its price.
    Raises MoveNotAllowed."""
    if row.phase != Phase.NEEDS_REVIEW:
        raise MoveNotAllowed(
            f"it is {status_of(row.state, row.phase)}; only what needs review can be resolved"
        )
    capture = None
    if is_by_hand(row):
        capture = captures_under_way(transaction, [as_charge(row)]).get(row.id)
    one = _decided(row, decision, capture, who=who, why=why)
    if one.to is Phase.AUTHORIZED and as_charge(row).cancel_requested_at is not None:
        one = replace(one, next_in_s=0.0)  # Its cancellation was requested.
    moved = move(transaction, kind, [one])
    if one.next_in_s is not None:
        transaction.wakes.of(kind.name).add(row.id)
    resolved: LifecycleRow = moved[row.id]
    return resolved


def _decided(
    row: LifecycleRow, decision: Decision, capture: CaptureRow | None, *, who: str, why: str
) -> Move:
    """The move that a person asks for. For a charge that is captured by hand, the decision is about
    its present operation: the authorization, or a capture."""
    to, failed = _TO[decision], decision == "failed"
    one = Move(
        row,
        to,
        verb="resolve",
        outcome=decision,
        detail=why,
        actor=who,
        extra_attempt=True,
        next_in_s=0.0 if to is Phase.QUEUED else None,
        failure_code="resolved_failed" if failed else None,
        failure_message=message_for("resolved_failed") if failed else None,
    )
    if not is_by_hand(row):
        return one
    charge = as_charge(row)
    if capture is not None:
        return _of_capture(one, charge, capture)
    if decision == "retry" and charge.authorized_at is not None:
        raise MoveNotAllowed("its money was set aside before; sending it again would do so twice")
    if decision == "succeeded":
        return replace(one, to=Phase.AUTHORIZED)
    if decision == "failed" and charge.amount_captured:
        return replace(one, to=State.SUCCEEDED, failure_code=None, failure_message=None)
    return one


def _of_capture(one: Move, charge: ChargeRow, capture: CaptureRow) -> Move:
    if one.outcome == "retry":
        return one
    end = CaptureEnd(capture.id, one.failure_code)
    if one.outcome == "failed":
        return replace(
            one, to=Phase.AUTHORIZED, failure_code=None, failure_message=None, capture=end
        )
    captured = (charge.amount_captured or 0) + capture.amount
    is_over = capture.final or captured == charge.amount
    to: Status = State.SUCCEEDED if is_over else Phase.AUTHORIZED
    return replace(one, to=to, amount_captured=captured, capture=end)
