"""Which event a move publishes, if it publishes one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from infra.billing.contract.failures import ENDED
from models.rows import as_charge
from models.states import Phase, State, Status
from payments.kinds import CHARGE, Kind
from payments.lifecycle.capturing.charge_columns import event_of_authorized

if TYPE_CHECKING:
    from payments.lifecycle.moving.moves import Move

# Which statuses publish an event when they are entered.
PUBLISHED: Mapping[Status, str] = {
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    Phase.NEEDS_REVIEW: "needs_review",
    Phase.AWAITING_APPROVAL: "needs_approval",
}


def event_of(kind: Kind, one: "Move") -> str | None:
    """The second part of the type of the event that a move publishes, or None.

    A charge that was canceled publishes `canceled`, not `failed`, as receivers handle the two
    differently; `requires_action` is published once for each thing that the customer has to do.
    """
    if kind is CHARGE:
        if one.to is State.FAILED and one.failure_code in ENDED:
            return "canceled"
        if one.to is Phase.AWAITING_CUSTOMER and _asks_anew(one):
            return "requires_action"
        if one.to is Phase.AUTHORIZED:
            return event_of_authorized(one)
    return PUBLISHED.get(one.to)


def _asks_anew(one: "Move") -> bool:
    return one.next_action is not None and asks_otherwise(one)


def asks_otherwise(one: "Move") -> bool:
    """Whether the customer of a charge must now do something else than before, or nothing more."""
    before, now = as_charge(one.row).next_action, one.next_action
    if before is None or now is None:
        return before is not now
    return bool((before["type"], before["url"]) != (now["type"], now["url"]))
