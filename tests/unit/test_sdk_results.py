"""Results of the SDK are read by attribute and as mappings alike."""

import copy
import json
import pickle

import pytest

from infra.billing import (
    Charge,
    Currency,
    Endpoint,
    Line,
    Listing,
    Page,
    Price,
    Product,
    Quote,
    Refund,
    Resource,
)
from tests.support.every import every

CHARGE = Charge({"charge_id": "ch_1", "state": "pending", "amount": 1999, "currency": "USD"})


def test_a_field_is_an_attribute_and_an_item():
    assert CHARGE.charge_id == CHARGE["charge_id"] == CHARGE.get("charge_id") == "ch_1"
    assert dict(CHARGE)["state"] == {**CHARGE}["state"] == "pending"
    assert "amount" in CHARGE
    assert CHARGE.get("nothing") is None


def test_what_is_not_there_is_missing_both_ways():
    with pytest.raises(AttributeError, match="no field 'nothing'"):
        _ = CHARGE.nothing
    with pytest.raises(KeyError):
        _ = CHARGE["nothing"]


def test_results_are_read_only():
    with pytest.raises(AttributeError, match="read-only"):
        CHARGE.state = "succeeded"
    with pytest.raises(AttributeError, match="read-only"):
        del CHARGE.state


def through_pickle(charge):
    return pickle.loads(pickle.dumps(charge))  # noqa: S301  # what we pickled ourselves


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, through_pickle])
def test_a_copy_is_equal_and_of_the_same_kind(again):
    copied = again(CHARGE)
    assert copied == CHARGE
    assert type(copied) is Charge


def test_repr_shows_what_it_is_and_nothing_about_a_person():
    charge = Charge({**CHARGE, "customer_id": "ada@example.com", "metadata": {"card": "4242"}})
    assert repr(charge) == "Charge(charge_id='ch_1', state='pending', amount=1999, currency='USD')"
    assert "ada" not in repr(Refund({"refund_id": "re_1", "reason": "ada moved"}))


def test_fields_of_a_newer_service_are_there():
    assert Charge({"charge_id": "ch_1", "fee": 3}).fee == 3


def test_a_page_has_its_parts():
    page = Page({"data": [CHARGE], "has_more": False, "next_cursor": None})
    assert [charge.charge_id for charge in page.data] == ["ch_1"]
    assert page.next_cursor is None


def test_a_page_goes_on_with_the_next_and_a_copy_of_it_does_not():
    last = Page({"data": ["c"], "has_more": False, "next_cursor": None})
    page = Page({"data": ["a", "b"], "has_more": True, "next_cursor": "2"}, {"2": last}.get)
    assert [*page.auto_paging_iter()] == ["a", "b", "c"]
    assert [*page.auto_paging_iter()] == ["a", "b", "c"]
    assert [*copy.copy(page).auto_paging_iter()] == ["a", "b"]


def test_an_endpoint_shows_neither_its_secret_nor_its_url():
    endpoint = Endpoint({"id": "we_1", "url": "https://u:p@h", "secret": "whsec_x"})
    assert repr(endpoint) == "Endpoint(id='we_1')"
    assert endpoint.secret == "whsec_x"


PRICE = Price(
    {
        "id": "price_1",
        "nickname": "Standard",
        "active": True,
        "recurring": {"interval": "month"},
        "tiers": [{"up_to": "inf", "unit_amount": "700"}],
        "transform_quantity": None,
        "product": {"id": "prod_1", "name": "Widget", "metadata": {"a": "b"}},
        "currency": {"id": "cur_usd", "name": "US Dollar", "decimal": 2},
        "metadata": {"owner": "ada@example.com"},
    }
)


def test_what_is_inside_a_price_is_read_by_attribute_too():
    assert (type(PRICE.product), PRICE.product.name) == (Product, "Widget")
    assert (type(PRICE.currency), PRICE.currency.decimal) == (Currency, 2)
    assert PRICE.recurring.interval == "month"
    assert [tier.up_to for tier in PRICE.tiers] == ["inf"]
    assert PRICE.transform_quantity is None
    assert PRICE.product.metadata == {"a": "b"}


def test_as_items_they_are_what_json_had():
    assert json.loads(json.dumps(dict(PRICE))) == PRICE
    assert PRICE["product"]["name"] == PRICE.get("product")["name"] == "Widget"
    assert PRICE.product == PRICE["product"]
    assert through_pickle(PRICE).product == PRICE.product


def test_of_what_is_sold_repr_shows_its_name_and_nothing_about_a_person():
    price = Price({**PRICE, "lookup_key": "standard", "unit_amount": "2000", "nickname": "ada's"})
    assert repr(price) == "Price(id='price_1', lookup_key='standard', unit_amount='2000')"
    price = Price({"id": "price_1", "currency_code": "USD", "quantity_available": 5})
    assert repr(price) == "Price(id='price_1', currency_code='USD', quantity_available=5)"
    product = Product({"id": "prod_1", "name": "Widget", "active": False, "description": "ada's"})
    assert repr(product) == "Product(id='prod_1', name='Widget', active=False)"
    assert repr(PRICE.currency) == "Currency(id='cur_usd', name='US Dollar', decimal=2)"


@every(
    "fields, shown",
    [
        (PRICE["recurring"], "interval='month'"),
        (PRICE["tiers"][0], "up_to='inf', unit_amount='700'"),
        ({"divide_by": 10, "round": "up"}, "divide_by=10, round='up'"),
        ({"id": "price_1", "object": "price", "deleted": True},
         "id='price_1', object='price', deleted=True"),
        ({"at": "2026-11-22T10:23:20Z", "what": "attempt", "object_id": "ch_1", "text": "by ada"},
         "at='2026-11-22T10:23:20Z', what='attempt', object_id='ch_1'"),
        ({"a": 1, "b": 2, "c": False, "d": 4, "e": 5}, "a=1, b=2, c=False, d=4"),
        ({"name": "ada", "description": "ada", "customer_id": "ada", "metadata": {"a": "ada"},
          "secret": "whsec_x", "email": "ada@example.com", "url": "https://u:p@h", "tags": ["ada"]},
         ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_what_has_no_kind_shows_what_is_simple_and_nothing_about_a_person(fields, shown):
    assert repr(Resource(fields)) == f"Resource({shown})"


def test_what_lacks_what_its_kind_shows_shows_something_all_the_same():
    assert repr(Charge({"fee": 3, "reference": "ada"})) == "Charge(fee=3)"


def test_a_quote_has_lines_with_reasons():
    line = {"type": "unit", "quantity": 5, "unit_amount": "700", "amount": 3500, "reason": "five"}
    quote = Quote({"price_id": "p", "quantity": 5, "amount": 3500, "lines": [line]})
    assert [(type(one), one.reason) for one in quote.lines] == [(Line, "five")]
    shown = "Line(type='unit', quantity=5, unit_amount='700', amount=3500)"
    assert repr(quote.lines) == f"[{shown}]"


def test_a_listing_goes_on_by_its_cursor_and_a_copy_of_it_does_not():
    last = Listing({"count": 3, "list": ["c"], "next_cursor": None})
    first = Listing({"count": 3, "list": ["a", "b"], "next_cursor": "2"}, {"2": last}.get)
    assert (first.count, first.list) == (3, ["a", "b"])
    assert [*first.auto_paging_iter()] == ["a", "b", "c"]
    assert [*copy.copy(first).auto_paging_iter()] == ["a", "b"]
