"""What the door refuses, and how its lists are read."""

from typing import Any

import stripe

from tests.support.every import every
from tests.support.stripe_door import Door, pay, raised, stripe_door

Client = stripe.StripeClient


# --- what is refused --------------------------------------------------------------------------


@every(
    "params, code, param",
    [
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": -1}, "parameter_invalid_integer", "amount"),
        ({"amount": "ten"}, "parameter_invalid_integer", "amount"),
        ({"amount": 1001, "currency": "kwd"}, None, "amount"),
        ({"amount": 1001, "currency": "isk"}, None, "amount"),
        ({"currency": "zzz"}, None, "currency"),
        ({"currency": ""}, "parameter_missing", "currency"),
        ({"capture_method": "later"}, None, "capture_method"),
        ({"confirm": "yes"}, None, "confirm"),
        ({"typo": "1"}, "parameter_unknown", "typo"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"payment_method": "pm_nobody"}, "resource_missing", "payment_method"),
        ({"confirm": False, "off_session": True}, None, "off_session"),
        ({"metadata": {"x" * 41: "1"}}, None, f"metadata[{'x' * 40}]"),
        ({"expand": ["amount"]}, None, "expand"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    client: Client, params: dict[str, Any], code: str | None, param: str
) -> None:
    error = raised(stripe.InvalidRequestError, pay, client, **params)
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert error.request_id
    assert error.request_id.startswith("req_")


def test_what_is_not_there_is_not_found(client: Client) -> None:
    for retrieve in (
        client.v1.payment_intents.retrieve,
        client.v1.charges.retrieve,
        client.v1.refunds.retrieve,
        client.v1.disputes.retrieve,
        client.v1.events.retrieve,
    ):
        error = raised(stripe.InvalidRequestError, retrieve, "xx_1")
        assert (error.http_status, error.code) == (404, "resource_missing")
    error = raised(stripe.InvalidRequestError, client.v1.products.list)
    assert error.http_status == 404


@every("key", ["", "pk_test_1", "sk_live_1"])
def test_only_test_keys_are_let_in(door: Door, key: str) -> None:
    client = stripe.StripeClient(key or "x", base_addresses={"api": door.url})  # type: ignore[arg-type]
    error = raised(stripe.AuthenticationError, client.v1.charges.list)
    assert error.http_status == 401
    assert key not in str(error) or not key


# --- lists ------------------------------------------------------------------------------------


def test_lists_are_turned_page_by_page_in_both_directions() -> None:
    with stripe_door() as door:
        client = door.client()
        made = [pay(client).id for _ in range(7)]
        listed = client.v1.payment_intents.list
        assert [one.id for one in listed({"limit": 3}).auto_paging_iter()] == made[::-1]
        first = listed({"limit": 3})
        assert (first.has_more, [one.id for one in first.data]) == (True, made[:3:-1])
        second = listed({"limit": 3, "starting_after": first.data[-1].id})
        assert [one.id for one in second.data] == made[3:0:-1]
        back = listed({"limit": 3, "ending_before": second.data[0].id})
        assert [one.id for one in back.data] == made[:3:-1]
        assert not listed({"limit": 7}).has_more
        raised(stripe.InvalidRequestError, listed, {"limit": 101})
        raised(stripe.InvalidRequestError, listed, {"starting_after": "pi_nobody"})


def test_lists_are_narrowed_by_time_and_by_what_they_are_about() -> None:
    with stripe_door() as door:
        client = door.client()
        customer = client.v1.customers.create({"id": "cus_ada"})  # type: ignore[typeddict-unknown-key]
        early = pay(client, customer=customer.id)
        door.wait(100)
        late = pay(client)
        listed = client.v1.payment_intents.list
        for params, found in (
            ({"created": {"gte": late.created}}, [late.id]),
            ({"created": {"gt": early.created}}, [late.id]),
            ({"created": {"lt": late.created}}, [early.id]),
            ({"created": {"lte": late.created, "gte": early.created}}, [late.id, early.id]),
            ({"created": early.created}, [early.id]),
            ({"customer": "cus_ada"}, [early.id]),
            ({"created": {"gt": late.created + 1}}, []),
        ):
            assert [one.id for one in listed(params).data] == found, params  # type: ignore[arg-type]
        charges = client.v1.charges.list({"payment_intent": early.id}).data
        assert [one.id for one in charges] == [early.latest_charge]
