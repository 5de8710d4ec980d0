"""The SDK and the service hold each other to their word: ids, refusals, money, objects."""

from datetime import UTC, datetime
from decimal import Decimal
from inspect import signature
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import payments.errors
from infra.billing import requests as sdk
from infra.billing.contract.requests.cancel import CancelRequest
from infra.billing.contract.requests.charge import ChargeRequest
from infra.billing.contract.requests.refund import RefundRequest
from infra.billing.problems import error_of
from tests.support.every import every
from tests.support.refusals import present, sdk_says, service_says, short

CARD = "4242 4242 4242 4242"


CHARGE = {"amount": 1999, "currency": "USD", "idempotency_key": "order-1"}
BY_PRICE = {"amount": None, "currency": None, "price_id": "standard", "quantity": 2}
CHARGES: list[dict[str, Any]] = [
    {},
    {"currency": "usd"},
    {"currency": "KWD"},
    {"metadata": {"order": "1042"}},
    {"metadata": {}},
    {"description": ""},
    {"amount": None},
    {"currency": None},
    {"amount": 0},
    {"amount": -1},
    {"amount": 19.99},
    {"amount": 5.0},
    {"amount": 5.0, "currency": "JPY"},
    {"amount": 1999.0},
    {"amount": 1.999e3, "currency": "KWD"},
    {"amount": Decimal(5)},
    {"amount": Decimal("1.999E+3")},
    {"amount": Decimal("NaN")},
    {"amount": Decimal("-Infinity")},
    {"amount": Decimal("sNaN")},
    {"amount": Decimal("1E-30")},
    {"amount": Decimal("1E+9999999")},
    {"amount": Decimal("1E+999999999")},
    {"amount": 19.99, "currency": "JPY"},
    {"amount": 1e300},
    {"amount": float("nan")},
    {"amount": Decimal("19.99")},
    {"amount": True},
    {"amount": "1999"},
    {"amount": "4242424242424242"},
    {"amount": [1999]},
    {"amount": 10**15 - 1},
    {"amount": 10**15},
    {"amount": 10**18},
    {"currency": "dollars"},
    {"currency": "QQQ"},
    {"currency": "XAU"},
    {"currency": "EUR "},
    {"currency": "U$D"},
    {"currency": "€€€"},
    {"currency": 840},
    {"currency": "a@b.example"},
    {"currency": "676770000000"},
    {"amount": "a@b.example"},
    {"amount": 19.99, "currency": "QQQ"},
    {"idempotency_key": ""},
    {"idempotency_key": "k" * 255},
    {"idempotency_key": "k" * 256},
    {"idempotency_key": 7},
    {"idempotency_key": "a\nb"},
    {"idempotency_key": "a\x00b"},
    {"idempotency_key": "a\ud800b"},
    {"customer_id": ""},
    {"customer_id": 5},
    {"customer_id": "c" * 256},
    {"reference": ""},
    {"reference": "r" * 256},
    {"reference": 1042},
    {"description": "d" * 1000},
    {"description": "d" * 1001},
    {"description": "a\tb"},
    {"payment_method_id": "pm_card_visa"},
    {"payment_method_id": CARD},
    {"payment_method_id": CARD.replace(" ", "-")},
    {"payment_method_id": "4242424242424241"},
    {"payment_method_id": "4222222222222"},
    {"payment_method_id": "pm_4242424242424242"},
    {"payment_method_id": "4242.4242\u00a04242.4242"},
    {"customer_id": CARD},
    {"reference": f"order {CARD} 12/28 123"},
    {"description": f"%B{CARD.replace(' ', '')}^DOE/JANE^2812101"},
    {"idempotency_key": f"key-{CARD}"},
    {"metadata": {"note": CARD}},
    {"metadata": {CARD: "note"}},
    {"payment_method_id": ""},
    {"metadata": "order=1"},
    {"metadata": ["order"]},
    {"metadata": {"order": 1042}},
    {"metadata": {"order": None}},
    {"metadata": {1: "order"}},
    {"metadata": {"": "x"}},
    {"metadata": {"k" * 41: "x"}},
    {"metadata": {"k": "v" * 501}},
    {"metadata": {"k": "a\nb"}},
    {"metadata": {str(n): "v" for n in range(50)}},
    {"metadata": {str(n): "v" for n in range(51)}},
    {"metadata": {"k": 1}, "amount": 1.5, "currency": "QQQ", "idempotency_key": ""},
    BY_PRICE,
    {**BY_PRICE, "price_id": "price_" + "a" * 32},
    {**BY_PRICE, "quantity": 10**15 - 1},
    {**BY_PRICE, "quantity": None},
    {**BY_PRICE, "quantity": 0},
    {**BY_PRICE, "quantity": -1},
    {**BY_PRICE, "quantity": 2.0},
    {**BY_PRICE, "quantity": Decimal(2)},
    {**BY_PRICE, "quantity": True},
    {**BY_PRICE, "quantity": "2"},
    {**BY_PRICE, "quantity": 10**15},
    {**BY_PRICE, "quantity": 10**40},
    {**BY_PRICE, "expected_amount": 4000},
    {**BY_PRICE, "expected_amount": 0},
    {**BY_PRICE, "expected_amount": 4000.0},
    {**BY_PRICE, "expected_amount": True},
    {**BY_PRICE, "expected_amount": 10**15},
    {**BY_PRICE, "price_id": None, "quantity": None, "expected_amount": 5},
    {"expected_amount": 1999},
    {**BY_PRICE, "price_id": None},
    {**BY_PRICE, "price_id": None, "quantity": None},
    {**BY_PRICE, "price_id": ""},
    {**BY_PRICE, "price_id": 5},
    {**BY_PRICE, "price_id": "p" * 255},
    {**BY_PRICE, "price_id": "p" * 256},
    {**BY_PRICE, "price_id": "a\nb"},
    {**BY_PRICE, "amount": 1999},
    {**BY_PRICE, "currency": "USD"},
    {**BY_PRICE, "amount": 19.99, "currency": "QQQ"},
    {**BY_PRICE, "quantity": None, "amount": 1999},
    {**BY_PRICE, "metadata": {"k": 1}, "price_id": 5},
    {"price_id": "standard", "quantity": 2},
    {"price_id": "standard"},
    {"quantity": 2},
    {"quantity": 2.5},
    {"quantity": 2, "amount": None},
    {"amount": None, "currency": None},
    {"scheduled_at": "2026-12-01T08:00:00Z"},
    {"scheduled_at": datetime(2020, 1, 1)},  # noqa: DTZ001  # refused
    {"scheduled_at": "2026-12-01T08:00:00"},
    {"scheduled_at": "2026-12-01"},
    {"scheduled_at": "tomorrow"},
    {"scheduled_at": "2026-13-01T08:00:00Z"},
    {"scheduled_at": "9999-12-31T23:59:59Z"},
    {"scheduled_at": 1764547200},
    {"scheduled_at": True},
    {"expires_in_s": 1},
    {"expires_in_s": 0},
    {"expires_in_s": 366 * 86_400},
    {"expires_in_s": 366 * 86_400 + 1},
    {"expires_in_s": 60.0},
    {"expires_in_s": "60"},
    {"expires_in_s": True},
]

REFUND = {"charge_id": "ch_" + "a" * 32, "idempotency_key": "refund-1"}
REFUNDS: list[dict[str, Any]] = [
    {},
    {"amount": 1},
    {"amount": 0},
    {"amount": 1.5},
    {"amount": 5.0},
    {"amount": True},
    {"amount": "12"},
    {"charge_id": None},
    {"charge_id": ""},
    {"charge_id": 5},
    {"charge_id": "re_abc"},
    {"charge_id": "ch_1"},
    {"charge_id": "ch_" + "A" * 32},
    {"charge_id": "ch_" + "a" * 32 + "\u00a0"},
    {"charge_id": "ch_" + "a" * 33},
    {"charge_id": "ch_" + "a" * 300},
    {"reason": "asked for"},
    {"reason": ""},
    {"reason": "r" * 1001},
    {"reason": f"back to {CARD}"},
    {"reason": 5},
    {"if_pending": "wait"},
    {"if_pending": "reject"},
    {"if_pending": "cancel"},
    {"if_pending": True},
    {"if_missing": "wait"},
    {"if_missing": "reject"},
    {"if_missing": "maybe"},
    {"expected_refunded_amount": 0},
    {"expected_refunded_amount": -1},
    {"expected_refunded_amount": 1.0},
    {"expected_refunded_amount": True},
    {"expected_refunded_amount": "0"},
    {"expected_refunded_amount": 10**15},
    {"metadata": {"k": "v"}},
    {"metadata": {"k": 1}},
    {"restock": True},
    {"restock": False},
    {"restock": True, "restock_quantity": 2},
    {"restock": True, "restock_quantity": 2, "amount": 500},
    {"restock": True, "amount": 500},
    {"restock": False, "amount": 500},
    {"restock": "yes"},
    {"restock": 1},
    {"restock": 1, "restock_quantity": 2.0},
    {"restock_quantity": 2},
    {"restock": False, "restock_quantity": 2},
    {"restock": True, "restock_quantity": 0},
    {"restock": True, "restock_quantity": 2.0},
    {"restock": True, "restock_quantity": True},
    {"restock": True, "restock_quantity": "2"},
    {"restock": True, "restock_quantity": 10**15},
]


CANCEL = {"charge_id": "ch_" + "a" * 32}
CANCELS: list[dict[str, Any]] = [
    {},
    {"charge_id": None},
    {"charge_id": ""},
    {"charge_id": 5},
    {"charge_id": "re_abc"},
    {"charge_id": "ch_" + "a" * 300},
    {"reason": "the customer left"},
    {"reason": ""},
    {"reason": "r" * 1001},
    {"reason": "a\nb"},
    {"reason": 5},
]


def _names(check: Any) -> dict[str, None]:
    return dict.fromkeys(signature(check).parameters)


# Too long past for what is new; but it may be a repeat, which only the service can tell.
PAST: list[dict[str, Any]] = [
    {"scheduled_at": "2020-12-01T08:00:00+02:00"},
    {"scheduled_at": datetime(2020, 1, 1, tzinfo=UTC)},
]


@every("changes", PAST, ids=short)
def test_what_time_has_made_wrong_is_for_the_service_to_refuse(changes):
    fields = {**_names(sdk.charge_fields), **CHARGE, **changes}
    assert sdk_says(sdk.charge_fields, fields) is None
    assert "days past" in str(service_says(ChargeRequest, present(fields)))


@every("changes", CHARGES, ids=short)
def test_both_say_the_same_of_a_charge(changes):
    fields = {**_names(sdk.charge_fields), **CHARGE, **changes}
    said = service_says(ChargeRequest, present(fields))
    assert sdk_says(sdk.charge_fields, fields) == said


@every("changes", REFUNDS, ids=short)
def test_both_say_the_same_of_a_refund(changes):
    fields = {**_names(sdk.refund_fields), **REFUND, **changes}
    said = service_says(RefundRequest, present(fields))
    assert sdk_says(sdk.refund_fields, fields) == said


@every("changes", CANCELS, ids=short)
def test_both_say_the_same_of_a_cancellation(changes):
    fields = {**_names(sdk.cancel_fields), **CANCEL, **changes}
    said = service_says(CancelRequest, present(fields))
    assert sdk_says(sdk.cancel_fields, fields) == said


_ODD = st.sampled_from([None, 0, 1, 2, 5.0, 1.5, True, "", "x", "2", "USD", 10**15, [1]])


@given(st.fixed_dictionaries(dict.fromkeys(("price_id", "quantity", "currency", "amount"), _ODD)))
def test_both_say_the_same_of_whatever_a_charge_is_to_cost(changes):
    fields = {**_names(sdk.charge_fields), **CHARGE, **changes}
    said = service_says(ChargeRequest, present(fields))
    assert sdk_says(sdk.charge_fields, fields) == said


@given(st.fixed_dictionaries(dict.fromkeys(("amount", "restock", "restock_quantity"), _ODD)))
def test_both_say_the_same_of_whatever_is_to_come_back(changes):
    fields = {**_names(sdk.refund_fields), **REFUND, **changes}
    said = service_says(RefundRequest, present(fields))
    assert sdk_says(sdk.refund_fields, fields) == said


def test_what_a_price_says_is_what_is_sent_and_no_more():
    by_price = {"amount": None, "currency": None, "price_id": "standard", "quantity": 2}
    sent = sdk.charge_fields(**{**_names(sdk.charge_fields), **CHARGE, **by_price})
    assert sent == {"idempotency_key": "order-1", "price_id": "standard", "quantity": 2}
    not_to_restock = sdk.refund_fields(**{**_names(sdk.refund_fields), **REFUND, "restock": False})
    assert not_to_restock == REFUND


@every("producer", ["shop", "shop.eu-1_b", "", "a b", "a\nb", "x" * 65, 5, "4242-4242-4242-4242"])
def test_both_take_the_same_producers(producer):
    def check() -> None:
        sdk.producer_name(producer)

    assert sdk_says(check, {}) == service_says(ChargeRequest, {**CHARGE, "producer": producer})


def _refusals(kind: type[payments.errors.Refused]) -> list[type[payments.errors.Refused]]:
    # Those of the rules; what only a door may say has names of its own.
    children = [one for one in kind.__subclasses__() if one.__module__ == kind.__module__]
    return [one for child in children for one in (child, *_refusals(child))]


@every("kind", _refusals(payments.errors.Refused))
def test_what_the_service_refuses_the_sdk_raises_under_the_same_name(kind):
    error = error_of(kind.status, {"code": kind.code}, where="there", request_id=None)
    assert (type(error).__name__, error.code) == (kind.__name__, kind.code)
    assert type(error).__mro__[1].__name__ in (kind.__mro__[1].__name__, "BillingError")
