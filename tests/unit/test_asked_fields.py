"""Every field that can be asked for has its place everywhere else, or a reason why it has none.

What these find is tried on a real database in tests/integration/rules/test_completeness.py.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

from infra.billing.contract.objects import BY_NAME
from infra.billing.contract.objects.object_fields import fields_of
from infra.billing.pending import pending
from payments.kinds import KINDS
from payments.lifecycle.claims import ORDERED, charge_order
from payments.lifecycle.payment_queries import PAST
from payments.processors.port import Order
from service.intake import MODELS
from tests.support.every import every

# What has no column, and why.
NOT_KEPT: Mapping[str, Mapping[str, str]] = {
    "charge": {
        "expected_amount": "a condition of accepting it",
        "expires_in_s": "kept as `expires_at`",
    },
    "refund": {"if_missing": "a condition of accepting it"},
}
# What is kept, and of no interest to whoever reads the object.
NOT_SHOWN: Mapping[str, Mapping[str, str]] = {
    "charge": {"receipt_email": "a person's address: for the processor, and nobody else"},
    "refund": {
        "if_pending": "a condition of accepting it",
        "expected_refunded_amount": "a condition of accepting it",
    },
}
# What the processor need not know: names and terms between us and whoever asks.
NOT_SENT: Mapping[str, Mapping[str, str]] = {
    "charge": {
        "idempotency_key": "its own key is made of our id",
        "producer": "part of our id",
        "reference": "the caller's own (`Order.reference` is the processor's id)",
        "price_id": "what it comes to is the amount",
        "quantity": "what it comes to is the amount",
        "scheduled_at": "it is sent when its time has come",
    },
    "refund": {
        "idempotency_key": "its own key is made of our id",
        "producer": "part of our id",
        "reason": "for people",
        "restock": "of our stock",
        "restock_quantity": "of our stock",
        "if_pending": "a condition of accepting it",
        "expected_refunded_amount": "a condition of accepting it",
    },
}
# What is shown and can't be asked for, as it comes of it.
BECOMES: Mapping[str, frozenset[str]] = {
    "charge": frozenset(
        {
            "charge_id",
            "object",
            "state",
            "phase",
            "lines",
            "amount_captured",
            "amount_capturable",
            "capture_before",
            "capture_failure_code",
            "refunded_amount",
            "refund_pending_amount",
            "disputed_amount",
            "fee",
            "net",
            "settlement_currency",
            "failure_code",
            "failure_message",
            "failure_advice",
            "retry_at",
            "next_action",
            "processor",
            "livemode",
            "processor_reference",
            "created_at",
            "expires_at",
            "cancel_requested_at",
            "settled_at",
        }
    ),
    "refund": frozenset(
        {
            "refund_id",
            "object",
            "currency",
            "state",
            "phase",
            "failure_code",
            "failure_message",
            "warnings",
            "livemode",
            "processor_reference",
            "created_at",
            "settled_at",
        }
    ),
}
# What the order of a charge has, and is no column of one.
OF_OTHER_ORDERS = {"kind", "charge_id", "charge_reference", "captured_before", "final"}
ASKED = [(kind, name) for kind, model in MODELS.items() for name in model.model_fields]
KEPT = [(kind, name) for kind, name in ASKED if name not in NOT_KEPT[kind]]


@every("kind, name", ASKED)
def test_what_is_asked_for_shows_an_example(kind: Any, name: str) -> None:
    field = MODELS[kind].model_fields[name]
    kinds = (field.annotation, *get_args(field.annotation))
    has_few_values = bool in kinds or any(get_origin(one) is Literal for one in kinds)
    assert field.examples or has_few_values, "examples of Field(…)"


@every("kind, name", ASKED)
def test_what_is_asked_for_is_kept(kind: Any, name: str) -> None:
    has_column = name in KINDS[kind].table.c
    assert has_column != (name in NOT_KEPT[kind]), f"models/{kind}s.py, or say why not in NOT_KEPT"


@every("kind, name", KEPT)
def test_what_is_kept_is_shown(kind: Any, name: str) -> None:
    is_shown = name in fields_of(BY_NAME[kind])
    assert is_shown != (name in NOT_SHOWN[kind]), f"declare it in {BY_NAME[kind].__name__}"


@every("kind, name", KEPT)
def test_what_is_kept_is_sent(kind: Any, name: str) -> None:
    is_sent = name in {one.name for one in fields(Order)} - {"reference"}
    assert is_sent != (name in NOT_SENT[kind]), "add it to Order, or say why not in NOT_SENT"


@every("kind", MODELS)
def test_what_is_shown_was_asked_for_or_comes_of_it(kind: Any) -> None:
    shown, asked = set(fields_of(BY_NAME[kind])), set(MODELS[kind].model_fields)
    assert shown - asked == BECOMES[kind], f"{MODELS[kind].__name__} does not take it"


@every("kind, name", KEPT)
def test_what_is_shown_is_shown_before_anybody_knows_of_it(kind: Any, name: str) -> None:
    if name not in NOT_SHOWN[kind]:
        asked = {"cart": "42"}
        assert pending(kind, "id", {name: asked})[name] == asked


def test_every_field_of_an_order_is_a_column_of_a_charge_or_of_another_order() -> None:
    assert {one.name for one in fields(Order)} - {*ORDERED, *PAST} == OF_OTHER_ORDERS


def test_an_order_says_what_the_row_says() -> None:
    columns = {column.name: f"the {column.name}" for column in KINDS["charge"].table.c}
    row: Any = type("Row", (), {"_mapping": columns})
    order = charge_order(row)
    assert {name: getattr(order, name) for name in ORDERED} == {
        name: f"the {column}" for name, column in ORDERED.items()
    }
    # The caller's own must never go for the processor's.
    assert order.reference == "the processor_reference"
