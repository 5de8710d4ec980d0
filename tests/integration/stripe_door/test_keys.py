"""Idempotency keys at the door (docs.stripe.com/api/idempotent_requests)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.support.every import every
from tests.support.stripe_door import Door, raised, stripe_door

Client = stripe.StripeClient
VISA = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}


def create(client: Client, key: str, **params: Any) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create({**VISA, **params}, {"idempotency_key": key})  # type: ignore[arg-type]


def headers(answer: Any) -> Any:
    return answer.last_response.headers


def test_a_repeat_hears_the_first_answer_and_moves_nothing(door: Door, client: Client) -> None:
    first, again = create(client, "repeat"), create(client, "repeat")
    assert again.to_dict() == first.to_dict()
    assert headers(again)["Idempotent-Replayed"] == "true"
    assert headers(again)["Original-Request"] == headers(first)["Request-Id"]
    assert headers(again)["Request-Id"] != headers(first)["Request-Id"]
    assert "Idempotent-Replayed" not in headers(first)
    assert len(door.movements(key="repeat")) == 1


def test_a_repeat_hears_how_it_was_and_not_how_it_is(client: Client) -> None:
    paid = create(client, "as it was", capture_method="manual")
    client.v1.payment_intents.capture(paid.id)
    assert create(client, "as it was", capture_method="manual").status == "requires_capture"


def test_a_decline_is_kept_too(client: Client) -> None:
    method = {"payment_method": "pm_card_chargeDeclined"}
    first = raised(stripe.CardError, create, client, "declined", **method)
    again = raised(stripe.CardError, create, client, "declined", **method)
    assert again.json_body == first.json_body
    assert again.headers is not None
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.charges.list({"payment_intent": first.error.payment_intent.id}).data) == 1


@every("bad", [{"amount": 0}, {"typo": 1}, {"currency": "zzz"}, {"amount": 49}])
def test_what_was_refused_before_it_began_leaves_the_key_free(
    client: Client, bad: dict[str, Any]
) -> None:
    key = f"free {bad}"
    raised(stripe.InvalidRequestError, create, client, key, **bad)
    assert create(client, key).status == "succeeded"


def test_a_key_belongs_to_its_parameters_and_its_endpoint(door: Door, client: Client) -> None:
    paid = create(client, "mine")
    for params in ({"amount": 1001}, {"metadata": {"order": "7"}}):
        error = raised(stripe.IdempotencyError, create, client, "mine", **params)
        assert error.http_status == 400
        assert error.error.type == "idempotency_error"
        assert "same parameters" in str(error)
    refund = client.v1.refunds.create
    options = {"idempotency_key": "mine"}
    error = raised(stripe.IdempotencyError, refund, {"payment_intent": paid.id}, options)
    assert "same endpoint" in str(error)
    assert len(door.movements(key="mine")) == 1


def test_a_key_is_forgotten_after_a_day_and_the_money_moves_again() -> None:
    with stripe_door() as door:
        client = door.client()
        create(client, "old")
        door.wait(24 * 3600 - 60)
        assert "Idempotent-Replayed" in headers(create(client, "old"))
        door.wait(61)
        assert "Idempotent-Replayed" not in headers(create(client, "old"))
        assert len(door.movements(key="old")) == 2


def test_a_key_has_up_to_255_characters(client: Client) -> None:
    assert create(client, "k" * 255).status == "succeeded"
    raised(stripe.InvalidRequestError, create, client, "k" * 256)


@pytest.fixture
def slow_door() -> Iterator[Door]:
    with stripe_door(latency_s=0.3) as door:
        yield door


def test_of_many_at_once_one_is_carried_out_and_the_others_are_told_so(slow_door: Door) -> None:
    def ask(_: int) -> Any:
        try:
            return create(slow_door.client(), "at once").status
        except stripe.APIError as busy:
            told, said = busy.error, busy.headers or {}
            return busy.http_status, told.type, told.code, said.get("Stripe-Should-Retry")

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(ask, range(8)))
    in_use = (409, "idempotency_error", "idempotency_key_in_use", "true")
    assert set(said) == {"succeeded", in_use}
    assert len(slow_door.movements(key="at once")) == 1
    assert create(slow_door.client(), "at once").status == "succeeded"


def test_reads_take_no_notice_of_keys(client: Client) -> None:
    paid = create(client, "read")
    retrieve = client.v1.payment_intents.retrieve
    read = [retrieve(paid.id, options={"idempotency_key": "read"}) for _ in range(2)]
    assert [one.id for one in read] == [paid.id] * 2
    assert "Idempotent-Replayed" not in headers(read[1])
