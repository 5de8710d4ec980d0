"""The same scenarios at the door and at localstripe, another stand-in by other people.

localstripe is GPL: it is run as a process of its own, and never imported. It knows no faults, no
keys and no disputes, so what is asked here is what both know.
"""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
import urllib3

from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.stripe_door import client_at, raised, stripe_door
from tests.support.waiting import wait_for

Client = stripe.StripeClient
PLACES = ("the door", "localstripe")


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Client]]:
    """Both, by name."""
    port = free_port()
    # Its file of yesterday's objects is of no interest here.
    command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
    program = Program("localstripe", command, {"PYTHONUNBUFFERED": "1"})
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            urllib3.request("GET", url, retries=False)
        except urllib3.exceptions.HTTPError:
            assert program.alive, program.output
            return False
        return True

    try:
        wait_for(answers, what="localstripe to listen")
        with stripe_door() as door:
            yield {"the door": door.client(), "localstripe": client_at(url)}
    finally:
        program.end()


def a_method(client: Client, number: str, customer: str) -> str:
    card = {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = client.v1.payment_methods.create({"type": "card", "card": card})  # type: ignore[arg-type]
    client.v1.payment_methods.attach(method.id, {"customer": customer})
    return method.id


def a_payment(client: Client, number: str = "4242424242424242", **params: Any) -> Any:
    customer = client.v1.customers.create({"email": "ada@example.com"}).id
    given = {
        "amount": 1000,
        "currency": "usd",
        "customer": customer,
        "payment_method": a_method(client, number, customer),
        "confirm": True,
    }
    return client.v1.payment_intents.create({**given, **params})  # type: ignore[arg-type]


def both(places: dict[str, Client], scenario: Any) -> Any:
    """What both say, which must be the same."""
    said = {name: scenario(places[name]) for name in PLACES}
    assert said["the door"] == said["localstripe"]
    return said["the door"]


def test_a_payment_succeeds_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        paid = a_payment(client, metadata={"order": "7"})
        read = client.v1.payment_intents.retrieve(paid.id)
        charge = client.v1.charges.retrieve(str(getattr(read.latest_charge, "id", None)
                                               or read.latest_charge))  # fmt: skip
        return (
            paid.object, paid.status, paid.amount, paid.currency, paid.metadata["order"],
            charge.object, charge.status, charge.paid, charge.captured,
            charge.refunded,
        )  # fmt: skip

    assert both(places, scenario)[1] == "succeeded"


def test_what_is_held_is_captured_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        held = a_payment(client, capture_method="manual")
        taken = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 600})
        return held.status, taken.status

    assert both(places, scenario) == ("requires_capture", "succeeded")


def test_what_is_held_is_let_go_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        held = a_payment(client, capture_method="manual")
        ended = client.v1.payment_intents.cancel(held.id)
        raised(stripe.InvalidRequestError, client.v1.payment_intents.cancel, held.id)
        return ended.status

    assert both(places, scenario) == "canceled"


def test_a_card_is_declined_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        error = raised(stripe.CardError, a_payment, client, "4000000000000002")
        return error.http_status, error.code

    assert both(places, scenario) == (402, "card_declined")


def test_a_customer_is_asked_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        asked = a_payment(client, "4000002760003184")
        return asked.status, asked.next_action.type

    assert both(places, scenario) == ("requires_action", "use_stripe_sdk")


def test_a_refund_is_made_and_listed_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        paid = a_payment(client)
        made = client.v1.refunds.create({"payment_intent": paid.id, "amount": 300})
        charge = str(made.charge)
        listed = client.v1.refunds.list({"charge": charge}).data
        read = client.v1.charges.retrieve(charge)
        return (
            made.object, made.status, made.amount, [one.id for one in listed] == [made.id],
            read.amount_refunded, read.refunded,
        )  # fmt: skip

    assert both(places, scenario)[1:3] == ("succeeded", 300)


def test_what_is_not_there_is_not_found_alike(places: dict[str, Client]) -> None:
    def scenario(client: Client) -> Any:
        error = raised(stripe.InvalidRequestError, client.v1.charges.retrieve, "ch_nobody")
        return error.http_status, error.error.type

    assert both(places, scenario) == (404, "invalid_request_error")
