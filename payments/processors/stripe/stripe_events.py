"""Stripe's events: signed, and only a hint at a PaymentIntent, its charge, a refund or a dispute.

Snapshot events carry the object as it was then, thin ones only its name
(https://docs.stripe.com/event-destinations#events-overview). Neither is trusted beyond that: the
object is looked up.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from infra.billing.contract.ids import PREFIXES
from payments.processors import event_signatures
from payments.processors.outcomes import NotFound, Succeeded, Unknown
from payments.processors.port import EventRefused, FoundRefund, ProcessorEvent
from payments.processors.stripe.holds import dated
from payments.processors.stripe.ownership import Ownership
from payments.processors.stripe.standing import (
    fees_of,
    of_dispute,
    of_intent,
    of_refund,
    our_id,
)
from payments.processors.stripe.stripe_amounts import from_stripe
from payments.processors.stripe.stripe_lookup import settled
from payments.processors.stripe.wire import CHARGE_ID, REFUND_ID, Object, Wire

SIGNATURE_HEADER = "stripe-signature"
Type = Literal["payment_intent", "charge", "refund", "dispute"]
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")


@dataclass(frozen=True, slots=True)
class Named:
    """What an event is about."""

    type: Type
    id: str
    told_at: datetime  # by Stripe's clock
    livemode: bool | None  # the event's mode, if given

    async def look_up(self, wire: Wire, owner: Ownership) -> ProcessorEvent | FoundRefund | None:
        """Its present state; None if it is not ours, or has no result yet."""
        found = await {
            "payment_intent": wire.intent,
            "charge": wire.charge,
            "refund": wire.refund,
            "dispute": wire.dispute,
        }[self.type](self.id)
        intent = found.get("payment_intent")  # expanded, if there is one
        charge = intent if isinstance(intent, Mapping) else {}
        if owner.is_anothers(found) or owner.is_anothers(charge):
            return None
        match self.type:
            case "payment_intent":
                return await _of_charge(wire, found)
            case "charge":
                return await _with_fees(wire, found)
            case "refund":
                return _of_refund(found)
        return _of_dispute(found, self.told_at)


def read(
    headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float
) -> Named | None:
    """What an event is about, if it concerns us. Raises EventRefused."""
    given = {name.lower(): value for name, value in headers.items()}
    event_signatures.check(given.get(SIGNATURE_HEADER, ""), body, secrets=secrets, now=now)
    type_: Any
    try:
        event = json.loads(body)
        if event["object"] == "v2.core.event":
            about = event.get("related_object") or {}
            type_ = about.get("type")
        else:
            about = event["data"]["object"]
            type_ = about.get("object")
        id_, told_at = about.get("id", ""), _time(event["created"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EventRefused("The event can't be read.") from error
    if type_ not in get_args(Type):
        return None
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise EventRefused("The event names no object.")
    return Named(type_, id_, told_at, event.get("livemode"))


def _time(created: Any) -> datetime:
    """When an event was made: Unix seconds in a snapshot event, RFC 3339 in a thin one."""
    if isinstance(created, str):
        return datetime.fromisoformat(created)
    return datetime.fromtimestamp(created, UTC)


async def _of_charge(wire: Wire, intent: Object) -> ProcessorEvent | None:
    charge_id = our_id(intent, CHARGE_ID, PREFIXES["charge"])
    if charge_id is None:
        return None
    outcome = await dated(wire, await settled(wire, intent, of_intent))
    if isinstance(outcome, NotFound | Unknown):
        return None  # Not confirmed yet: the call that does that gets the outcome.
    return ProcessorEvent(charge_id, "charge", outcome, *_sum_of(intent))


async def _with_fees(wire: Wire, charge: Object) -> ProcessorEvent | None:
    """The state of a charge, with Stripe's fee. The fee is known some time after the success, and
    only the Charge object is updated then."""
    intent: Any = charge.get("payment_intent")  # expanded
    event = await _of_charge(wire, intent) if intent else None
    if event is None or not isinstance(event.outcome, Succeeded):
        return event
    if intent["latest_charge"] != charge["id"]:
        return event  # an earlier try
    return replace(event, outcome=replace(event.outcome, fees=fees_of(charge)))


def _of_dispute(dispute: Object, told_at: datetime) -> ProcessorEvent | None:
    intent: Any = dispute.get("payment_intent")  # expanded
    charge_id = our_id(intent, CHARGE_ID, PREFIXES["charge"]) if intent else None
    outcome = of_dispute(dispute, told_at)
    if charge_id is None or outcome is None:
        return None
    return ProcessorEvent(charge_id, "dispute", outcome)


def _of_refund(refund: Object) -> ProcessorEvent | FoundRefund | None:
    outcome = of_refund(refund)
    if isinstance(outcome, NotFound | Unknown):
        return None
    if (refund_id := our_id(refund, REFUND_ID, PREFIXES["refund"])) is not None:
        return ProcessorEvent(refund_id, "refund", outcome, *_sum_of(refund))
    intent: Any = refund.get("payment_intent")  # expanded
    charge_id = our_id(intent, CHARGE_ID, PREFIXES["charge"]) if intent else None
    if charge_id is None:
        return None
    return FoundRefund(refund["id"], charge_id, intent["id"], *_sum_of(refund), outcome)


def _sum_of(found: Object) -> tuple[int, str]:
    """Its amount and currency, in our form."""
    currency = found["currency"].upper()
    return from_stripe(found["amount"], currency), currency
