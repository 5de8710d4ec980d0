"""No text that is kept holds card data, however it is written; ids that machines make are none."""

import re
import sys
import unicodedata
import uuid
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from api.description.schemas import REQUESTS
from infra.billing.contract.card_data import holds_card_data
from infra.billing.contract.limits import DESCRIPTOR_MAX
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.endpoint_request import (
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from infra.billing.contract.requests.endpoint_verbs import Ping, Replay, Retry, SecretRotation
from infra.billing.contract.requests.inventory_request import InventoryRequest
from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.requests.second_opinion import SecondOpinion
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from tests.support.every import every

PAN = "4242424242424242"
CARDS = [
    PAN,
    f"pm_{PAN}",
    f"card:{PAN}",
    f"tok{PAN}x",
    "4242 4242 4242 4242",
    "4242.4242.4242.4242",
    "4242-4242-4242-4242",
    "4242\u00a04242\u00a04242\u00a04242",
    "4242\u200b4242\u200b4242\u200b4242",
    "4242 - 4242 - 4242 - 4242",
    "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
    "".join(chr(0xFF10 + int(digit)) for digit in PAN),
    "".join(chr(0x0660 + int(digit)) for digit in PAN),
    f"{PAN} 12/28 123",
    f"{PAN}1228",
    f"{PAN}2812123",
    f"order 7, card {PAN}, thanks",
    f"%B{PAN}^DOE/JANE^28121010000",
    "%B9999999999999999^DOE/JANE^2812",
    f";{PAN}=28121010000012345678",
    ";9999999999999999=28121010000012345678",
    "378282246310005",
    "3782 822463 10005",
    "30569309025904",
    "5555555555554444",
    "2223003122003222",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "6759649826438453",
    "2200000000000004",
    "cvc 123",
    "CVV2: 1234",
    '"cvc":"123"',
    "cvv=٤٥٦",
]
NO_CARDS = [
    "order-1001-charge",
    "4242424242424241",
    "1764412345678901",
    "20261129123456789012",
    "1020304050607080",
    "2026-11-29T10:00:00.123456Z",
    "550e8400-e29b-41d4-a716-446655440000",
    "42424242-4242-4242-8242-4242424242ab",
    "+49 30 901820 1234",
    "+1 (555) 123-4567",
    "4006381333931",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "import:charges.csv:123456789012",
    "ch_" + "a2" * 16,
    "9" * 40,
    "cvc_check: pass",
    "cvc 12345",
    "the cvc",
    "abcvc123",
    "recvc-1234",
    "recvc: 1234",
    "INVCVC-100",
    "CVC-2024",
    "order-cvv-123",
    "",
]
FIELDS: dict[type[BaseModel], dict[str, Any]] = {
    ChargeRequest: {"amount": 5, "currency": "USD", "idempotency_key": "k"},
    RefundRequest: {"charge_id": "ch_" + "a" * 32, "idempotency_key": "k"},
    CaptureRequest: {"charge_id": "ch_" + "a" * 32, "idempotency_key": "k"},
    CancelRequest: {"charge_id": "ch_" + "a" * 32},
    ProductRequest: {"name": "Tea", "idempotency_key": "k"},
    PriceRequest: {
        "product_id": "prod_" + "a" * 32,
        "currency_id": "cur_usd",
        "unit_amount": "700",
        "idempotency_key": "k",
    },
    InventoryRequest: {"quantity": 1, "action": "increment", "idempotency_key": "k"},
    ProductChanges: {},
    PriceChanges: {},
    WebhookEndpointRequest: {"url": "https://example.com/hooks"},
    WebhookEndpointChanges: {},
    SecretRotation: {},
    Ping: {},
    Replay: {},
    Retry: {},
    SecondOpinion: {},
}


@every("text", CARDS)
def test_a_card_is_found(text: str) -> None:
    assert holds_card_data(text)


@every("text", NO_CARDS)
def test_what_is_no_card_is_none(text: str) -> None:
    assert not holds_card_data(text)


@pytest.mark.parametrize(
    "made", ["241c13df42c74c399834431462069907", "8a376808003645688f9ae2e273035697"]
)
def test_a_uuid_without_dashes_and_with_few_letters_is_no_card(made: str) -> None:
    assert not holds_card_data(made)


@given(st.uuids(version=4), st.binary(min_size=16, max_size=64))
def test_what_machines_make_is_no_card(made: uuid.UUID, hashed: bytes) -> None:
    for text in (str(made), made.hex, f"key-{made}", f"import:{hashed.hex()}:7"):
        if re.search("(?i)(?:[0-9]*[a-f]){6}", text):
            assert not holds_card_data(text)


@given(st.text(max_size=80) | st.text("0123456789 .-=^%;B", max_size=80))
def test_any_text_can_be_looked_through(text: str) -> None:
    digits = sum(unicodedata.digit(character, None) is not None for character in text)
    assert not (holds_card_data(text) and digits < 12)


def test_half_a_character_hides_no_card() -> None:
    """Whoever looks through what could not be read has any text."""
    assert holds_card_data("\ud8004242424242424242")
    assert not holds_card_data("\udfff424242424242é")


@every(
    "text",
    [
        " ".join("4" * 250),
        " ".join("62" * 125)[:-1] + "3",
        ("6759 " * 100).strip(),
        "4" * 500,
        ("1234567890123=" * 40)[:500],
        " ".join("٤" * 250),
    ],
)
def test_a_text_full_of_digits_is_looked_through_in_a_few_steps(text: str) -> None:
    """A request may bring fifty such values, and is read on an event loop."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        code = frame.f_code
        # Not the turns of a comprehension, nor characters that are seen for the first time.
        if event == "call" and not code.co_name.startswith("<") and code.co_name != "readable":
            calls += "card_data" in code.co_filename

    sys.setprofile(count)
    try:
        holds_card_data(text)
    finally:
        sys.setprofile(None)
    assert 0 < calls < 20


def texts() -> list[tuple[type[BaseModel], str]]:
    """Every field of every request in which text may stand that is not one of ours."""
    ours = {"currency", "charge_id", "product_id", "currency_id", "unit_amount", "if_pending"}
    ours |= {"if_missing", "type", "tiers_mode", "billing_scheme", "action"}
    ours |= {"event_types", "event_ids", "headers", "ordered", "trace_context", "state", "only"}
    found = []
    for model in REQUESTS:
        for name, field in model.model_fields.items():
            if "str" in str(field.annotation) and name not in {*ours, "metadata"}:
                found.append((model, name))
    return found


@every("model, field", texts(), ids=str)
@every("card", [PAN, f"x {PAN} 12/28 123", f"pm_{PAN}"])
def test_no_text_of_a_request_holds_one(model: type[BaseModel], field: str, card: str) -> None:
    if field == "price_id":
        fields = {"price_id": card, "quantity": 1, "idempotency_key": "k"}
    else:
        fields = {**FIELDS[model], field: card.replace(" ", ".") if field == "producer" else card}
    with pytest.raises(InvalidRequest) as refused:
        parse(model, fields)
    assert refused.value.param == field
    # What can't be a text of the field is not looked at for what it holds.
    is_too_long = field == "statement_descriptor" and len(card) > DESCRIPTOR_MAX
    if not (field == "producer" and "/" in card) and not is_too_long:
        assert "must hold no card data" in str(refused.value)
    assert "4242" not in str(refused.value)


@every("model", [WebhookEndpointRequest, WebhookEndpointChanges])
@every(
    "field, value, says",
    [
        ("headers", {PAN: "x"}, "headers must hold no card data"),
        ("event_types", [PAN], "event_types: one of them is not an event type"),
    ],
)
def test_nor_does_what_is_shown_of_an_endpoint(
    model: type[BaseModel], field: str, value: Any, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        parse(model, {**FIELDS[model], field: value})
    assert refused.value.param == field
    assert PAN not in str(refused.value)


@every("model", [m for m in FIELDS if "metadata" in m.model_fields])
@every("metadata", [{"card": PAN}, {PAN: "x"}, {"cvc": "123"}, {"cardCVV2": "1234"},
    {"cvvCode": "123"}, {"security_code": " 123"}])  # fmt: skip
def test_nor_does_metadata(model: type[BaseModel], metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="in metadata must hold no card data") as refused:
        parse(model, {**FIELDS[model], "metadata": metadata})
    assert refused.value.param == "metadata"
    assert PAN not in str(refused.value)
