"""Stripe's events: signed, and no more than a hint at a PaymentIntent or a refund.

Snapshot events carry the object as it was then, thin ones only its name
(https://docs.stripe.com/event-destinations#events-overview). Neither is believed further than that:
the object is looked up.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.billing.contract.ids import PREFIXES, is_id
from payments.processors import event_signatures
from payments.processors.outcomes import NotFound, Unknown
from payments.processors.port import EventRefused, FoundRefund, ProcessorEvent
from payments.processors.stripe.finding import settled
from payments.processors.stripe.holds import dated
from payments.processors.stripe.money import from_stripe
from payments.processors.stripe.standing import metadata_of, of_intent, of_refund
from payments.processors.stripe.wire import CHARGE_ID, REFUND_ID, Object, Wire

SIGNATURE_HEADER = "stripe-signature"
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")


@dataclass(frozen=True, slots=True)
class Named:
    """What an event is about."""

    type: Literal["payment_intent", "refund"]
    id: str

    async def look_up(self, wire: Wire) -> ProcessorEvent | FoundRefund | None:
        """What it says now; None when it is not ours, or says nothing yet."""
        if self.type == "payment_intent":
            return await _of_charge(wire, await wire.intent(self.id))
        return _of_refund(await wire.refund(self.id))


def read(
    headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float
) -> Named | None:
    """What an event is about, if it is something that we keep. Raises EventRefused."""
    given = {name.lower(): value for name, value in headers.items()}
    event_signatures.check(given.get(SIGNATURE_HEADER, ""), body, secrets=secrets, now=now)
    try:
        event = json.loads(body)
        if event["object"] == "v2.core.event":
            about = event.get("related_object") or {}
            type_ = about.get("type")
        else:
            about = event["data"]["object"]
            type_ = about.get("object")
        id_ = about.get("id", "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EventRefused("The event can't be read.") from error
    if type_ not in ("payment_intent", "refund"):
        return None
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise EventRefused("The event names no object.")
    return Named(type_, id_)


async def _of_charge(wire: Wire, intent: Object) -> ProcessorEvent | None:
    charge_id = _ours(intent, CHARGE_ID, PREFIXES["charge"])
    if charge_id is None:
        return None
    outcome = await dated(wire, await settled(wire, intent, of_intent))
    if isinstance(outcome, NotFound | Unknown):
        return None  # It was made and not tried yet: whoever does that hears how it ends.
    return ProcessorEvent(charge_id, "charge", outcome, *_sum_of(intent))


def _of_refund(refund: Object) -> ProcessorEvent | FoundRefund | None:
    outcome = of_refund(refund)
    if isinstance(outcome, NotFound | Unknown):
        return None
    if (refund_id := _ours(refund, REFUND_ID, PREFIXES["refund"])) is not None:
        return ProcessorEvent(refund_id, "refund", outcome, *_sum_of(refund))
    intent: Any = refund.get("payment_intent")  # expanded
    charge_id = _ours(intent, CHARGE_ID, PREFIXES["charge"]) if intent else None
    if charge_id is None:
        return None
    return FoundRefund(refund["id"], charge_id, intent["id"], *_sum_of(refund), outcome)


def _sum_of(found: Object) -> tuple[int, str]:
    """Its amount and currency, as we write them."""
    currency = found["currency"].upper()
    return from_stripe(found["amount"], currency), currency


def _ours(found: Object, name: str, prefix: str) -> str | None:
    """Our id in the object's metadata, if one is there."""
    value = metadata_of(found).get(name)
    return value if isinstance(value, str) and is_id(value, prefix) else None
