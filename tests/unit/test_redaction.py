"""Arguments in logs, events and Flower: only what is known, and only if it looks the part."""

import pytest

from worker.redaction import args_text, key_text, kwargs_text

CARD = "4242424242424242"
PERSON = "ada@example.com"


def test_a_charge_shows_amount_currency_and_ids_and_counts_the_rest():
    text = kwargs_text(
        {
            "amount": 1999,
            "currency": "USD",
            "customer_id": "cus_ada",
            "payment_method_id": "pm_card_visa",
            "description": "Ada's book",
            "metadata": {"email": PERSON},
            "reference": "order 7",
        }
    )
    assert text == "{'amount': 1999, 'currency': 'USD', 'hidden': 5}"


def test_ids_of_ours_are_shown():
    assert kwargs_text({"id": "ch_abc234"}) == "{'id': 'ch_abc234'}"
    assert kwargs_text({"charge_id": "ch_abc234"}) == "{'charge_id': 'ch_abc234'}"
    assert kwargs_text({"endpoint_id": "we_9"}) == "{'endpoint_id': 'we_9'}"


@pytest.mark.parametrize(
    "kwargs",
    [
        {"id": PERSON},
        {"charge_id": CARD},
        {"charge_id": f"ch_{PERSON}"},
        {"amount": CARD},
        {"amount": int(CARD) ** 2},
        {"currency": CARD},
        {"state": PERSON},
        {"amount": {"nested": PERSON}},
        {"id": [CARD]},
        {PERSON: 1, CARD: "x"},
        {"idempotency_key": PERSON},
        {"idempotency_key": [PERSON]},
        {"customer_id": PERSON, "metadata": {CARD: PERSON}},
    ],
)
def test_no_value_slips_through_under_any_name(kwargs):
    text = kwargs_text(kwargs)
    assert PERSON not in text
    assert CARD not in text


def test_true_is_not_an_amount():
    assert kwargs_text({"amount": True}) == "{'amount': '…'}"


def test_the_same_key_is_recognised_and_cannot_be_read():
    assert key_text(PERSON) == key_text(PERSON)
    assert key_text(PERSON) != key_text(CARD)
    assert (
        kwargs_text({"idempotency_key": PERSON}) == f"{{'idempotency_key': '{key_text(PERSON)}'}}"
    )


def test_positional_arguments_are_only_counted():
    assert args_text([]) == "()"
    assert args_text([PERSON, CARD]) == "(2 hidden)"


def test_a_lone_surrogate_in_a_key_is_no_error():
    assert key_text("\ud800").startswith("#")
