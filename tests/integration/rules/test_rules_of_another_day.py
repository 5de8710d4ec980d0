"""What was accepted stays accepted: its key is looked up first, and only what is new is judged."""

from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.inventory_request import InventoryRequest
from infra.billing.contract.requests.price_request import PriceRequest
from infra.billing.contract.requests.product_request import ProductRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.requests.request_fields import Keyed
from infra.billing.contract.requests.rules import ANY_DAY
from payments.catalog import inventory, prices, products
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import Claimed
from payments.parsing import parse, read
from payments.payment_errors import InvalidRequest, KeyReused, NotFound
from tests.support.every import every
from tests.support.factories import Till, a_charge, a_key, a_sale, is_claimed
from tests.support.refusals import refusal

# What no rule of today takes, and a rule of another day may have taken.
CHARGES: list[dict[str, Any]] = [
    {"currency": "BGN"},
    {"currency": "QQQ"},
    {"amount": 10**16},
    {"description": "d" * 2000},
    {"reference": "r" * 300},
    {"customer_id": ""},
    {"payment_method_id": "4242 4242 4242 4242"},
    {"metadata": {str(n): "v" for n in range(60)}},
    {"metadata": {"k" * 50: "v"}},
    {"metadata": {"k": "v" * 600}},
]
REFUNDS: list[dict[str, Any]] = [
    {"charge_id": "charge-17"},
    {"reason": "r" * 2000},
    {"expected_refunded_amount": 10**16},
    {"metadata": {str(n): "v" for n in range(60)}},
]
K = TypeVar("K", bound=Keyed)


def fields_of_a_charge(**changes: Any) -> dict[str, Any]:
    fields = {"amount": 1000, "currency": "USD", "idempotency_key": a_key(), "producer": "tests"}
    return fields | changes


def fields_of_a_refund(**changes: Any) -> dict[str, Any]:
    fields = {"charge_id": "ch_" + "a" * 32, "idempotency_key": a_key(), "producer": "tests"}
    return fields | changes


def of_that_day(model: type[K], fields: dict[str, Any]) -> K:
    """The request as rules that took it have read it."""
    return parse(model, fields, day=ANY_DAY)


@every("changes", CHARGES, ids=lambda c: repr(c)[:40])
def test_a_charge_of_other_rules_is_answered_as_it_stands(
    till: Till, changes: dict[str, Any]
) -> None:
    fields = fields_of_a_charge(**changes)
    (first,) = till.accept(of_that_day(ChargeRequest, fields))
    assert isinstance(first, charges.Accepted)
    assert first.fresh
    (again,) = till.accept(read(ChargeRequest, fields))
    assert isinstance(again, charges.Accepted)
    assert (again.fresh, again.row.id) == (False, first.row.id)
    # By message, too, which goes on with it.
    (begun,) = till.create(read(ChargeRequest, fields))
    assert isinstance(begun, Claimed)
    assert begun.id == first.row.id
    (other,) = till.accept(read(ChargeRequest, {**fields, "amount": 999}))
    assert isinstance(other, KeyReused)


@every("changes", CHARGES, ids=lambda c: repr(c)[:40])
def test_a_charge_that_is_new_is_judged_and_nothing_of_it_is_written(
    till: Till, changes: dict[str, Any]
) -> None:
    fields = fields_of_a_charge(**changes)
    said = refusal(lambda: parse(ChargeRequest, fields))
    request, good = read(ChargeRequest, fields), a_charge()
    refused, accepted = till.accept(request, good)
    assert isinstance(refused, InvalidRequest)
    assert (str(refused), refused.param) == (str(said), said.param)
    assert isinstance(accepted, charges.Accepted)
    assert till.rows([request.id, good.id]).keys() == {good.id}
    again, begun = till.create(request, a_charge())
    assert isinstance(again, InvalidRequest)
    assert is_claimed(begun)


@every("changes", REFUNDS, ids=lambda c: repr(c)[:40])
def test_a_refund_of_other_rules_is_answered_as_it_stands(
    till: Till, changes: dict[str, Any]
) -> None:
    fields = fields_of_a_refund(**changes)
    new = read(RefundRequest, fields)
    (refused,) = till.accept(new)
    assert isinstance(refused, InvalidRequest)
    assert refused.param == next(iter(changes))
    assert not till.rows([new.id])
    (first,) = till.accept(of_that_day(RefundRequest, fields))
    assert isinstance(first, refunds.Accepted)
    (again,) = till.accept(new)
    assert isinstance(again, refunds.Accepted)
    assert (again.fresh, again.row.id) == (False, first.row.id)
    (other,) = till.accept(read(RefundRequest, {**fields, "amount": 999}))
    assert isinstance(other, KeyReused)


@every(
    "changes",
    [{"amount": 19.99}, {"amount": "1999"}, {"currency": 5}, {"customer_id": 7}, {"amout": 5},
     {"metadata": {"a": 1}}, {"idempotency_key": "a\x00"}, {"producer": "a b"}, {"amount": None}],
)  # fmt: skip
def test_what_is_no_request_on_any_day_is_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read(ChargeRequest, fields_of_a_charge(**changes))


def test_what_today_takes_is_the_same_request_on_any_day() -> None:
    fields = fields_of_a_charge(currency="usd", metadata={"a": "b"}, reference="r")
    today, any_day = read(ChargeRequest, fields), of_that_day(ChargeRequest, fields)
    assert today.against is None
    assert (today.id, today.fingerprint) == (any_day.id, any_day.fingerprint)


def test_a_price_and_a_product_of_other_rules_are_answered_as_they_stand(till: Till) -> None:
    named = {"idempotency_key": a_key(), "producer": "tests"}
    product = {"name": "n" * 300, **named}
    price = {"currency_id": "cur_bgn", "unit_amount": "700", **named}
    with till.database.transaction() as transaction:
        refused = refusal(
            lambda: products.create(transaction, read(ProductRequest, product), livemode=False)
        )
        assert refused.param == "name"
        make = of_that_day(ProductRequest, product)
        made, is_new = products.create(transaction, make, livemode=False)
        assert is_new
        again = products.create(transaction, read(ProductRequest, product), livemode=False)
        assert again == (made, False)
        price["product_id"] = made.id
        refused = refusal(
            lambda: prices.create(transaction, read(PriceRequest, price), livemode=False)
        )
        assert (refused.param, "BGN is no longer" in str(refused)) == ("currency_id", True)
        first = of_that_day(PriceRequest, price)
        assert prices.create(transaction, first, livemode=False)[1]
        row, is_new = prices.create(transaction, read(PriceRequest, price), livemode=False)
        assert (row.id, is_new) == (first.id, False)


def test_stock_that_was_counted_by_other_rules_is_not_counted_again(till: Till) -> None:
    price = till.price(stock=10)
    fields = {"quantity": 1, "action": "increment", "idempotency_key": a_key() + "k" * 300}
    till.count(price, of_that_day(InventoryRequest, fields))
    with till.database.transaction() as transaction:
        *_, changed = inventory.adjust(transaction, price, read(InventoryRequest, fields))
    assert not changed
    new = read(InventoryRequest, {**fields, "idempotency_key": a_key() + "k" * 300})
    assert refusal(lambda: till.count(price, new)).param == "idempotency_key"
    assert till.stock(price) == 11


@pytest.mark.usefixtures("stock_adds_up")
def test_by_a_price_in_a_withdrawn_currency_nothing_new_is_charged(till: Till) -> None:
    """And what is refused for it holds nothing back from the others of its batch."""
    fields = {"currency_id": "cur_bgn", "unit_amount": "700", "quantity_available": 2}
    named = {"product_id": till.product(), "idempotency_key": a_key(), "producer": "tests"}
    gone = till.make(of_that_day(PriceRequest, {**fields, **named}))["id"]
    before = a_sale(gone, 1)
    till.put("UPDATE prices SET currency = 'USD' WHERE id = :id", id=gone)
    till.accept(before)
    # As both stood on the day of the sale: the books of the others are to add up with these.
    till.put("UPDATE prices SET currency = 'BGN' WHERE id = :id", id=gone)
    till.put("UPDATE charges SET currency = 'BGN' WHERE price_id = :id", id=gone)
    refused, repeated = till.accept(a_sale(gone, 1), before)
    assert isinstance(refused, InvalidRequest)
    assert refused.param == "price_id"
    assert "BGN is no longer" in str(refused)
    assert isinstance(repeated, charges.Accepted)
    assert till.stock(gone) == 1


@every("changes", [{"amount": 10**16}, {"charge_id": "charge-17"}])
def test_a_capture_of_other_rules_is_answered_as_it_stands(
    till: Till, changes: dict[str, Any]
) -> None:
    charge_id = till.authorized()
    fields = {"charge_id": charge_id, "idempotency_key": a_key(), "producer": "tests", **changes}
    new = read(CaptureRequest, fields)
    (refused,) = till.capture_all(NewCapture(new))
    assert isinstance(refused, InvalidRequest)
    assert refused.param == next(iter(changes))
    # As rules that took it have written it down.
    with till.database.transaction() as transaction:
        transaction.execute(
            text(
                "INSERT INTO captures (id, charge_id, producer, idempotency_key, fingerprint,"
                " amount, final) VALUES (:id, :charge, 'tests', :key, :fingerprint, 500, true)"
            ),
            {
                "id": new.id,
                "charge": charge_id,
                "key": new.idempotency_key,
                "fingerprint": new.fingerprint,
            },
        )
    (again,) = till.capture_all(NewCapture(new))
    if "charge_id" in changes:  # another charge's is not even looked for
        assert isinstance(again, NotFound)
    else:
        assert isinstance(again, charges.Accepted)
        assert (again.fresh, again.row.id) == (False, charge_id)
    (other,) = till.capture_all(NewCapture(read(CaptureRequest, {**fields, "amount": 1})))
    assert isinstance(other, KeyReused)
