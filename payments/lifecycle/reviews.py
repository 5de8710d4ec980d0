"""What a person decides about a charge or a refund that nobody else can settle."""

from collections.abc import Mapping
from typing import Literal

from infra.billing.contract.failures import message_for
from models.rows import LifecycleRow
from models.states import Phase, State, Status, status_of
from payments.catalog.stock import hold_prices_of
from payments.errors import InvalidRequest, MoveNotAllowed
from payments.errors import NotFound as NoSuchObject
from payments.kinds import REFUND, kind_of
from payments.lifecycle.locks import hold_charges, locked
from payments.lifecycle.moves import Move, move
from payments.parsing import refuse_card_data
from payments.transaction import Transaction

Decision = Literal["succeeded", "failed", "retry"]
_TO: Mapping[Decision, Status] = {
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "retry": Phase.QUEUED,
}


def resolve(
    transaction: Transaction, object_id: str, decision: Decision, *, who: str, why: str
) -> LifecycleRow:
    """Settle what stands at `needs_review`, or queue it again; a move like any other.

    `retry` sends with the same processor key again: only right when the person has seen at the
    processor that nothing moved. Raises NotFound, MoveNotAllowed, InvalidRequest.
    """
    kind = kind_of(object_id)
    if kind is None:
        raise InvalidRequest("send the id of a charge (ch_…) or a refund (re_…)", param="id")
    if not who.strip() or not why.strip():
        raise InvalidRequest("say who decides and why; both stay in the history", param="why")
    for param, text in (("who", who), ("why", why)):
        refuse_card_data(param, text)
    hold_prices_of(transaction, **{f"{kind.name}s": [object_id]})
    if kind is REFUND:
        hold_charges(transaction, of_refunds=[object_id])
    row = locked(transaction, kind, [object_id]).get(object_id)
    if row is None:
        raise NoSuchObject(f"there is no {kind.name} with this id", param="id")
    if row.phase != Phase.NEEDS_REVIEW:
        raise MoveNotAllowed(
            f"it is {status_of(row.state, row.phase)}; only what needs review can be resolved"
        )
    to = _TO[decision]
    failed = to is State.FAILED
    moved = move(
        transaction,
        kind,
        [
            Move(
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
        ],
    )
    if to is Phase.QUEUED:
        transaction.wakes.of(kind.name).add(object_id)
    resolved: LifecycleRow = moved[object_id]
    return resolved
