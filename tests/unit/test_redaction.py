"""Arguments in logs, events and Flower: only what is known, and only if it looks the part."""

import pytest

from infra.billing.contract.money import AMOUNT_MAX
from payments.redaction import FIELDS_MAX, redacted
from service.broker.task_redaction import args_text, key_text, kwargs_text
from tests.support.every import every

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


def test_a_charge_by_price_shows_what_is_bought_unless_it_is_a_name():
    price_id = f"price_{'abcd2345' * 4}"
    by_id = {"price_id": price_id, "quantity": 3}
    assert kwargs_text(by_id) == f"{{'price_id': '{price_id}', 'quantity': 3}}"
    by_key = {"price_id": PERSON, "quantity": int(CARD)}
    assert kwargs_text(by_key) == "{'price_id': '…', 'quantity': '…'}"
    assert redacted({"restock": True, "restock_quantity": 2}) == {
        "restock": True, "restock_quantity": 2,
    }  # fmt: skip


def test_ids_of_ours_are_shown():
    id_ = "abcd2345" * 4
    assert kwargs_text({"id": f"ch_{id_}"}) == f"{{'id': 'ch_{id_}'}}"
    assert kwargs_text({"charge_id": f"ch_{id_}"}) == f"{{'charge_id': 'ch_{id_}'}}"
    assert kwargs_text({"endpoint_id": f"we_{id_}"}) == f"{{'endpoint_id': 'we_{id_}'}}"
    assert redacted({"charge_id": f"ch_{id_}"}) == {"charge_id": f"ch_{id_}"}
    some = {"endpoint_ids": [f"we_{id_}", f"we_{id_[::-1]}"]}
    assert kwargs_text(some) == str(some)


slips = every(
    "kwargs",
    [
        {"id": PERSON},
        {"charge_id": CARD},
        {"charge_id": f"ch_{PERSON}"},
        {"amount": CARD},
        {"amount": int(CARD)},
        {"amount": int(CARD) ** 2},
        {"expected_refunded_amount": int(CARD)},
        {"amount": float(CARD)},
        {"charge_id": f"ch_{CARD}"},
        {"endpoint_ids": [f"we_{'abcd2345' * 4}", PERSON]},
        {"endpoint_ids": {PERSON: 1}},
        {"producer": CARD},
        {"producer": f"shop-{CARD}"},
        {"producer": PERSON},
        {"price_id": CARD},
        {"price_id": PERSON},
        {"quantity": int(CARD)},
        {"currency": PERSON},
        {"if_pending": CARD},
        {"if_pending": PERSON},
        {"state": "ada"},
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


@slips
@every("told", [kwargs_text, redacted], ids=["log", "row"])
def test_no_value_slips_through_under_any_name(kwargs, told):
    text = str(told(kwargs))
    assert PERSON not in text
    assert CARD not in text


@every("amount", [0, 1, -1, AMOUNT_MAX, -AMOUNT_MAX])
def test_amounts_up_to_the_limit_are_shown(amount):
    assert kwargs_text({"amount": amount}) == f"{{'amount': {amount}}}"
    assert redacted({"amount": amount}) == {"amount": amount}


@pytest.mark.parametrize("amount", [AMOUNT_MAX + 1, 378282246310005])
def test_what_may_be_a_card_number_is_no_amount(amount):
    assert kwargs_text({"amount": amount}) == "{'amount': '…'}"
    assert redacted({"amount": amount}) == {"amount": "<int>"}


def test_a_row_keeps_the_first_fields_and_counts_the_rest():
    fields = {f"field_{chr(97 + n // 26)}{chr(97 + n % 26)}": n for n in range(FIELDS_MAX + 7)}
    kept = redacted({PERSON: 1, **fields})
    assert len(kept) == FIELDS_MAX + 1
    assert kept["…"] == 8
    assert next(iter(kept)) == "field_aa"


def test_names_that_read_as_none_are_only_counted():
    assert redacted({"ammount": 5, PERSON: 1, CARD: 1, "": 1, "A": 1}) == {
        "ammount": "<int>",
        "…": 4,
    }


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
