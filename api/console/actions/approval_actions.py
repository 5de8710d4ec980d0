"""Approving or rejecting what another person asked for."""

from functools import partial

from api.console.actions.action import Action, Doing, Done
from payments.access.scopes import OPERATE
from payments.lifecycle.approving import deciding
from payments.lifecycle.approving.deciding import Verdict


async def _decide(doing: Doing, verdict: Verdict) -> Done:
    decide = partial(deciding.decide, approval_id=doing.id, verdict=verdict)
    await doing.here.database.transaction(decide, acting=doing.acting)
    return Done(f"/approvals/{doing.id}")


ACTIONS = (
    Action(
        of="approvals",
        name="approve",
        title="Approve",
        permission=OPERATE,
        says="Has it done: a refund is sent, a decision is carried out. The person who asked for it"
        " may not approve it, whatever name they sign in with under the same key.",
        run=partial(_decide, verdict="approved"),
        is_possible=lambda row: row.state == "pending",
    ),
    Action(
        of="approvals",
        name="reject",
        title="Reject",
        permission=OPERATE,
        says="Has it not done: a refund fails, and its amount can be refunded again; what needs"
        " review stays there.",
        run=partial(_decide, verdict="rejected"),
        is_possible=lambda row: row.state == "pending",
        is_dangerous=True,
    ),
)
