"""Results of the SDK are read by attribute and as mappings alike."""

import copy
import pickle

import pytest

from infra.billing import Charge, Endpoint, Page, Refund

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
