"""Bodies that are taken as they stand: what is shown of every request, by the name of its schema.

Made by hand, since fields that go together, or never do, can't be told from each field's own
example.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.billing.contract.objects.charge_objects import A_CHARGE
from infra.billing.contract.objects.sales import A_PRODUCT


class Sample(NamedTuple):
    """A body, and what it asks for."""

    summary: str
    value: Mapping[str, Any]


_ORDER = {"customer_id": "cus_123", "payment_method_id": "pm_card_visa", "reference": "order-1001"}
_PRICE = {"product_id": A_PRODUCT, "currency_id": "cur_usd"}

SAMPLES: Mapping[str, Mapping[str, Sample]] = {
    "ChargeRequest": {
        "amount": Sample(
            "An amount: 19.99 USD",
            {
                "amount": 1999,
                "currency": "USD",
                **_ORDER,
                "description": "Two tickets",
                "metadata": {"cart": "42"},
            },
        ),
        "price": Sample(
            "What two units of a price cost; their stock is held",
            {"price_id": "standard_monthly", "quantity": 2, **_ORDER},
        ),
        "scheduled": Sample(
            "Later, and canceled if it has not succeeded an hour after that",
            {
                "amount": 1999,
                "currency": "USD",
                **_ORDER,
                "scheduled_at": "2026-12-01T08:00:00Z",
                "expires_in_s": 3600,
            },
        ),
    },
    "CaptureRequest": {
        "all": Sample("All that is set aside", {"idempotency_key": "order-1001-capture"}),
        "part": Sample(
            "A part; the rest stays set aside",
            {"amount": 1500, "final": False, "idempotency_key": "order-1001-capture-1"},
        ),
    },
    "SecondOpinion": {
        "why": Sample("Why, for the history", {"reason": "seen the organizer's mail"})
    },
    "CancelRequest": {"cancel": Sample("Why, for people", {"reason": "the customer left"})},
    "RefundRequest": {
        "plain": Sample(
            "A part of a charge",
            {"charge_id": A_CHARGE, "amount": 500, "reason": "one seat too many"},
        ),
        "restock": Sample(
            "All that is left of it, and all units that are still out are for sale again",
            {"charge_id": A_CHARGE, "restock": True},
        ),
        "restock_part": Sample(
            "A part of it, and one unit comes back",
            {"charge_id": A_CHARGE, "amount": 500, "restock": True, "restock_quantity": 1},
        ),
    },
    "ProductRequest": {
        "product": Sample(
            "Something that is sold",
            {
                "name": "My SaaS Product",
                "description": "Everything, for a team.",
                "metadata": {"shelf": "7"},
            },
        )
    },
    "ProductChanges": {
        "change": Sample(
            "Another name, one more of metadata, and one less",
            {"name": "My Other Product", "metadata": {"plan": "gold", "trial": None}},
        )
    },
    "PriceRequest": {
        "per_unit": Sample(
            "20.00 USD a unit, and there are fifty",
            {**_PRICE, "unit_amount": "2000", "lookup_key": "shirt", "quantity_available": 50},
        ),
        "tiered": Sample(
            "7.00 USD each for the first five units, 6.00 USD for those after",
            {
                **_PRICE,
                "tiers": [
                    {"up_to": 5, "unit_amount": "700"},
                    {"up_to": "inf", "unit_amount": "600"},
                ],
                "tiers_mode": "graduated",
            },
        ),
        "recurring": Sample(
            "20.00 USD a month",
            {
                **_PRICE,
                "unit_amount": "2000",
                "recurring": {"interval": "month"},
                "nickname": "Standard Monthly Plan",
                "lookup_key": "standard_monthly",
            },
        ),
    },
    "PriceChanges": {
        "change": Sample(
            "Another name for people, and no lookup key any more",
            {"nickname": "Old Monthly Plan", "lookup_key": None, "metadata": {"plan": "gold"}},
        ),
        "move": Sample(
            "The lookup key of another price",
            {"lookup_key": "standard_monthly", "transfer_lookup_key": True},
        ),
    },
    "InventoryRequest": {
        "increment": Sample("Ten came in", {"quantity": 10, "action": "increment"}),
        "decrement": Sample("One broke", {"quantity": 1, "action": "decrement"}),
    },
    "QuoteRequest": {"quote": Sample("What two units cost", {"quantity": 2})},
    "WebhookEndpointRequest": {
        "endpoint": Sample(
            "What became of charges",
            {
                "url": "https://shop.example.com/hooks",
                "event_types": ["charge.succeeded", "charge.failed"],
                "description": "the shop",
            },
        )
    },
    "WebhookEndpointChanges": {"disable": Sample("Be sent nothing", {"state": "disabled"})},
    "Ping": {"ping": Sample("Once, however often it is sent", {"idempotency_key": "ping-1"})},
    "Retry": {"retry": Sample("Once, however often it is sent", {"idempotency_key": "retry-1"})},
    "SecretRotation": {
        "rotation": Sample("The secret before signs for an hour more", {"overlap_s": 3600})
    },
    "Replay": {
        "events": Sample("These", {"event_ids": ["evt_c7dnqoq2lixhqxkbpgnfzxg7mqbdq5gk"]}),
        "time": Sample(
            "What did not arrive of an hour",
            {"since": "2026-11-22T10:00:00Z", "until": "2026-11-22T11:00:00Z"},
        ),
    },
    "ProcessorEvent": {
        "thin": Sample(
            "A thin event of Stripe's",
            {
                "id": "evt_65R9Ijk8dKEYZcXeRWn16R9A7j1FSQ3w3TGDPLLGSM4CW0",
                "object": "v2.core.event",
                "type": "v1.payment_intent.succeeded",
                "related_object": {
                    "id": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
                    "type": "payment_intent",
                    "url": "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa",
                },
            },
        )
    },
}
