"""The SDK at the real door: products, prices, stock, and charges by price."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from infra import billing
from tests.support.sdk import sdk_of
from tests.support.web import Caller

pytestmark = pytest.mark.usefixtures("_sdk")

TIERS = [
    {"up_to": 5, "unit_amount": 700},
    {"up_to": 10, "unit_amount": "650"},
    {"up_to": "inf", "unit_amount": "600"},
]


@pytest.fixture
def _sdk(caller: Caller) -> Iterator[None]:
    with sdk_of(caller):
        yield


def a_name() -> str:
    """Lookup keys are everybody's; one that no other test has."""
    return f"k-{uuid4().hex}"


def a_price(**fields: Any) -> billing.Price:
    product = billing.product.create(name="Widget", metadata={"colour": "red"})
    cost = {} if "tiers" in fields else {"unit_amount": "2000"}
    return billing.price.create(product_id=product.id, currency_id="cur_usd", **cost, **fields)


def test_a_price_comes_back_as_it_was_made_by_its_id_and_by_its_lookup_key() -> None:
    name = a_name()
    price = a_price(
        lookup_key=name,
        recurring={"interval": "month", "interval_count": 3},
        transform_quantity={"divide_by": 10, "round": "up"},
        quantity_available=9,
        metadata={"plan": "gold"},
    )
    assert (price.unit_amount, price.type, price.quantity_available) == ("2000", "recurring", 9)
    assert (price.product.name, price.currency.code) == ("Widget", "USD")
    assert price.recurring.interval_count == 3
    assert price.transform_quantity.round == "up"
    assert billing.price.retrieve(price.id) == billing.price.get(name) == price
    assert set(price) == set(billing.Price.__annotations__) - {"_parts"}
    assert set(price["product"]) == set(billing.Product.__annotations__)


@pytest.mark.parametrize(
    ("mode", "amounts"),
    [("volume", [0, 700, 3500, 3900, 15000]), ("graduated", [0, 700, 3500, 4150, 15750])],
)
def test_a_quote_says_what_the_seed_says(mode: str, amounts: list[int]) -> None:
    price = a_price(tiers=TIERS, tiers_mode=mode)
    quotes = [billing.price.quote(price.id, quantity=n) for n in (0, 1, 5, 6, 25)]
    assert [quote.amount for quote in quotes] == amounts
    assert all(line.reason for quote in quotes for line in quote.lines)


def test_under_one_key_there_is_one_product_one_price_and_one_count() -> None:
    product = billing.product.create(name="Widget", idempotency_key="Größe 7")
    assert billing.product.create(name="Widget", idempotency_key="Größe 7") == product
    price = a_price(quantity_available=9)
    for _ in range(2):
        counted = billing.price.inventory(
            price.id, quantity=2, action="decrement", idempotency_key="sold at the market"
        )
    assert counted.quantity_available == 7
    with pytest.raises(billing.KeyReused) as refused:
        billing.product.create(name="Gadget", idempotency_key="Größe 7")
    assert refused.value.idempotency_key == "Größe 7"


def test_what_is_not_passed_stays_and_none_unsets() -> None:
    price = a_price(nickname="Standard", lookup_key=a_name(), metadata={"a": "1", "b": "2"})
    changed = billing.price.update(price.id, nickname=None, metadata={"a": None, "c": "3"})
    assert changed.nickname is None
    assert changed.metadata == {"b": "2", "c": "3"}
    assert changed.lookup_key == price.lookup_key
    assert billing.price.update(price.id, lookup_key=None).lookup_key is None
    product = billing.product.update(price.product_id, description="Fine.")
    assert (product.name, product.description) == ("Widget", "Fine.")
    assert billing.product.update(product.id, description=None).description is None


def test_a_lookup_key_moves_when_it_is_told_to() -> None:
    old = a_price(lookup_key=a_name())
    with pytest.raises(billing.LookupKeyInUse) as refused:
        a_price(lookup_key=old.lookup_key)
    assert refused.value.facts == {"price_id": old.id}
    new = a_price(lookup_key=old.lookup_key, transfer_lookup_key=True)
    assert billing.price.retrieve(new.lookup_key).id == new.id
    assert billing.price.archive(old.id).active is False


def test_lists_go_through_all_and_count_them() -> None:
    prices = [a_price() for _ in range(3)]
    product_id = billing.product.create(name="Widget").id
    made = [
        billing.price.create(product_id=product_id, currency_id="cur_eur", unit_amount=n)
        for n in (1, 2, 3)
    ]
    newest = [price.id for price in reversed(made)]
    listing = billing.price.list(product_id=product_id, active=True, page_size=2)
    assert (listing.count, [price.id for price in listing.list]) == (3, newest[:2])
    assert [price.id for price in listing.auto_paging_iter()] == newest
    second = billing.price.list(product_id=product_id, page=2, page_size=2, type="one_time")
    assert [price.id for price in second.list] == newest[2:]
    oldest = billing.price.list(product_id=product_id, order="asc", currency_id="cur_eur")
    assert [price.id for price in oldest.list] == newest[::-1]
    assert billing.price.list(product_id=product_id, active=False).count == 0
    products = {one.id for one in billing.product.list(active=True).auto_paging_iter()}
    assert {product_id, *(price.product_id for price in prices)} <= products


def test_currencies_are_those_of_iso_4217() -> None:
    by_id = {one.id: one for one in billing.currency.list().auto_paging_iter()}
    assert by_id["cur_jpy"].decimal == 0
    assert billing.currency.retrieve("cur_usd") == by_id["cur_usd"]
    assert set(by_id["cur_usd"]) == set(billing.Currency.__annotations__)
    with pytest.raises(billing.NotFound):
        billing.currency.retrieve("cur_qqq")


def test_a_charge_by_price_takes_what_it_costs_and_holds_the_units() -> None:
    price = a_price(tiers=TIERS, tiers_mode="graduated", lookup_key=a_name(), quantity_available=9)
    charge = billing.charge.create(price_id=price.lookup_key, quantity=6)
    assert (charge.amount, charge.currency, charge.price_id) == (4150, "USD", price.id)
    assert sum(line.amount for line in charge.lines) == 4150
    assert billing.price.retrieve(price.id).quantity_available == 3
    with pytest.raises(billing.InsufficientInventory) as refused:
        billing.charge.create(price_id=price.id, quantity=4)
    assert refused.value.facts == {"available": 3, "requested": 4}
    with pytest.raises(billing.PriceInUse):
        billing.price.delete(price.id)
    with pytest.raises(billing.ProductInUse):
        billing.product.delete(price.product_id)
    billing.price.archive(price.id)
    with pytest.raises(billing.PriceInactive):
        billing.charge.create(price_id=price.id, quantity=1)


def test_a_refund_says_that_units_come_back() -> None:
    price = a_price(quantity_available=9)
    charge = billing.charge.create(price_id=price.id, quantity=2)
    refund = billing.refund.create(charge_id=charge.charge_id, restock=True)
    assert (refund.restock, refund.restock_quantity) == (True, 2)
    other = billing.charge.create(amount=5, currency="USD")
    with pytest.raises(billing.NothingToRestock):
        billing.refund.create(charge_id=other.charge_id, restock=True)


def test_what_is_not_used_is_deleted_for_good() -> None:
    price = a_price()
    deleted = billing.price.delete(price.id)
    assert dict(deleted) == {"id": price.id, "object": "price", "deleted": True}
    with pytest.raises(billing.NotFound):
        billing.price.retrieve(price.id)
    assert billing.product.delete(price.product_id).deleted is True


def test_there_is_nothing_to_count_where_there_is_no_limit() -> None:
    with pytest.raises(billing.InventoryUnlimited):
        billing.price.inventory(a_price().id, quantity=1, action="increment")
