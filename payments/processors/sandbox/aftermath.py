"""What follows a successful charge: the sandbox's fee, and disputes.

All of it comes from the script of the payment method, as events that are written when the charge
succeeds, to be offered later.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Float, func, insert, select

from infra.billing.contract.ids import random_id
from models.base import as_rows, given, seconds, table_of
from models.rows import SandboxRequestRow
from models.sandbox import SandboxEvent
from payments.processors.outcomes import Disputed, Fees
from payments.processors.sandbox.sandbox_scripts import LATE_S, script_for
from payments.views import moment

# Banks give a merchant one to three weeks.
RESPOND_WITHIN = timedelta(days=14)


def fees_of(amount: int, currency: str) -> Fees:
    """The sandbox's fee: 2.9 % and 30 minor units, as many processors charge."""
    fee = amount * 29 // 1000 + 30
    return Fees(fee, amount - fee, currency)


def foresee(connection: Connection, charges: Sequence[SandboxRequestRow]) -> None:
    """Write the events that will follow these charges, which have just succeeded."""
    events = [event for charge in charges for event in _events(charge)]
    if events:
        connection.execute(_FORESEE, {"foreseen": as_rows(events)})


def dispute_in(event: dict[str, Any]) -> Disputed:
    """The dispute in an event's body."""
    return Disputed(
        reference=event["reference"],
        state=event["state"],
        amount=event["amount"],
        currency=event["currency"],
        reason=event["reason"],
        told_at=datetime.fromisoformat(event["told_at"]),
        respond_by=datetime.fromisoformat(event["respond_by"]),
    )


def _events(charge: SandboxRequestRow) -> Iterator[dict[str, Any]]:
    script = script_for(charge.payment_method_id)
    if script.fees == "later":
        yield _event({**_standing(charge), "tells_fees": True}, LATE_S)
    now, reference = datetime.now(UTC), random_id("sbx_dp_")
    for nth, state in enumerate(script.disputes, start=1):
        told_at = now + timedelta(seconds=nth * LATE_S)
        body = {
            "object_id": charge.object_id,
            "kind": "dispute",
            "reference": reference,
            "state": state,
            "amount": charge.captured or charge.amount,
            "currency": charge.currency,
            "reason": "fraudulent",
            "told_at": moment(told_at),
            "respond_by": moment(now + RESPOND_WITHIN),
        }
        yield _event(body, nth * LATE_S)


def _standing(charge: SandboxRequestRow) -> dict[str, Any]:
    names = ("object_id", "kind", "status", "reference", "amount", "currency", "captured")
    return {**{name: getattr(charge, name) for name in names}, "code": None, "processor_code": None}


def _event(body: dict[str, Any], after_s: float) -> dict[str, Any]:
    text = json.dumps(body, separators=(",", ":"))
    return {"object_id": body["object_id"], "body": text, "after_s": after_s}


# --- The statement, built once ---

_events_table = table_of(SandboxEvent)
_foreseen = given(
    "foreseen",
    [_events_table.c.object_id, _events_table.c.body, Column("after_s", Float)],
)
_FORESEE = insert(_events_table).from_select(
    ["object_id", "body", "next_offer_at"],
    select(_foreseen.c.object_id, _foreseen.c.body, func.now() + seconds(_foreseen.c.after_s)),
    include_defaults=False,
)
