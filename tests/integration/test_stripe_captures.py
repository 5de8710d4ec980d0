"""Stripe's adapter, and money that is set aside first: what it asks, and what each answer means."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.billing.contract.failures import message_for
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    Fees,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from payments.processors.port import ProcessorEvent
from payments.processors.stripe import Stripe
from payments.processors.stripe.standing import fees_of
from tests.support.every import every
from tests.support.sandbox import a_capture, a_charge
from tests.support.scripted import Line, Resets, Says, Service
from tests.support.stripe import (
    INTENT,
    a_snapshot,
    an_error,
    an_intent,
    by_path,
    signed,
    stripe_by_script,
)

DEADLINE_S = 5.0
CHARGE = replace(a_charge(capture="manual"), reference=INTENT)
CAPTURE = a_capture(CHARGE, amount=400)
A_WEEK, TWO_DAYS = (datetime(1970, 1, day, tzinfo=UTC) for day in (8, 3))


def held(**changes: Any) -> dict[str, Any]:
    """A PaymentIntent whose money is set aside."""
    given = {"capture_method": "manual", "amount_received": 0, "created": 0}
    return an_intent(CHARGE, **{"status": "requires_capture", **given, **changes})


def taken(amount: int, **changes: Any) -> dict[str, Any]:
    """One of which so much was captured."""
    return held(status="succeeded", amount_received=amount, **changes)


def held_until(seconds: object) -> dict[str, Any]:
    """One whose card says until when."""
    return held(latest_charge={"payment_method_details": {"card": {"capture_before": seconds}}})


def no(word: str) -> Declined:
    return Declined("capture_declined", word, message_for("capture_declined"))


def refused(code: str, status: int = 400) -> Says:
    return an_error(status, "invalid_request_error", code=code)


ENDED = refused("payment_intent_unexpected_state")


@pytest.fixture
def account() -> Iterator[tuple[Stripe, Service]]:
    with stripe_by_script() as made:
        yield made


def capture(stripe: Stripe, **changes: Any) -> object:
    return stripe.capture(replace(CAPTURE, **changes), deadline_s=DEADLINE_S)


# --- setting aside ----------------------------------------------------------------------------


def test_a_charge_to_be_captured_by_hand_says_so_and_another_says_nothing(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    service.will(Says(200, held()))
    for one in (CHARGE, replace(CHARGE, capture="automatic")):
        stripe.charge(one, deadline_s=DEADLINE_S)
    made = [asked.body for asked in service.asked if asked.method == "POST"]
    assert [body.get("capture_method") for body in made] == ["manual", None]


@every(
    "answer, until",
    [
        (Says(200, held_until(172_800)), TWO_DAYS),
        # Not only cards are held, and the charge may not be there to be read.
        (Says(200, held_until(None)), A_WEEK),
        (Says(200, held(latest_charge={"payment_method_details": None})), A_WEEK),
        (Says(200, held(latest_charge=None)), A_WEEK),
        (refused("", 403), A_WEEK),
        (Says(500, {}), A_WEEK),
        (Resets(), A_WEEK),
    ],
)
def test_until_when_it_is_held_is_what_its_charge_says_or_a_week(
    answer: Line, until: datetime
) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(Says(200, held()), answer)
        authorized = Authorized(INTENT, 0, until)
        assert stripe.charge(CHARGE, deadline_s=DEADLINE_S) == authorized
        assert service.asked[1].query == {"expand[0]": ["latest_charge"]}
        service.will(Says(200, held()), answer)
        assert stripe.look_up(CHARGE, deadline_s=DEADLINE_S) == authorized
        service.will(Says(200, held()), answer)
        body = a_snapshot(held(), "payment_intent.amount_capturable_updated")
        told = stripe.hear(signed(body), body, deadline_s=DEADLINE_S)
        assert told == ProcessorEvent(CHARGE.id, "charge", authorized, 1000, "USD")


# --- capturing --------------------------------------------------------------------------------


def test_a_capture_takes_its_amount_under_a_key_of_its_own(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    service.will(Says(200, taken(400)))
    assert capture(stripe) == Succeeded(INTENT, 400)
    [asked] = service.asked
    assert (asked.method, asked.path) == ("POST", f"/v1/payment_intents/{INTENT}/capture")
    assert asked.headers["idempotency-key"] == CAPTURE.key
    # That it is the last is what Stripe takes it for, and only who may capture in parts may say it.
    assert asked.body == {
        "amount_to_capture": "400",
        "metadata[billing_capture_id]": CAPTURE.id,
    }


def test_amounts_are_written_and_read_in_stripes_unit(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    service.will(
        Says(200, held(status="succeeded", amount_received=300, amount=500, currency="isk"))
    )
    assert capture(stripe, amount=3, currency="ISK") == Succeeded(INTENT, 3)
    assert service.asked[0].body["amount_to_capture"] == "300"


@every(
    "changes, word",
    [
        ({"final": False}, "multicapture_unavailable"),
        ({"charge_reference": None}, "charge_reference_missing"),
    ],
)
def test_what_stripe_could_not_do_is_declined_unsent(changes: dict[str, Any], word: str) -> None:
    with stripe_by_script() as (stripe, service):
        assert capture(stripe, **changes) == no(word)
        assert not service.asked


@every(
    "answer, then, outcome",
    [
        # A refusal is one of the capture: the charge stands as it did,
        (refused("amount_too_large"), held(), no("amount_too_large")),
        (an_error(402, "card_error", code="card_declined"), held(), no("card_declined")),
        (ENDED, an_intent(CHARGE, "requires_action"), no("payment_intent_unexpected_state")),
        # unless it has ended, or is on its way.
        (ENDED, taken(1000), Succeeded(INTENT, 1000)),
        (ENDED, held(status="canceled"), Canceled(INTENT)),
        (refused("charge_expired_for_capture"), held(status="canceled"), Canceled(INTENT)),
        (ENDED, held(status="processing"), Pending(INTENT, "processing")),
    ],
)
def test_a_refusal_of_a_capture_is_held_against_how_the_charge_stands(
    answer: Line, then: dict[str, Any], outcome: object
) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(answer, Says(200, then))
        assert capture(stripe) == outcome
        assert service.asked[1].path == f"/v1/payment_intents/{INTENT}"


@every(
    "answers, outcome",
    [
        ([ENDED, Resets()], Unknown("connection_closed")),
        ([Resets()], Unknown("connection_closed")),
        ([Says(500, {})], Unknown("server_error")),
        ([an_error(409, "idempotency_error", code="idempotency_key_in_use")],
         Unknown("idempotency_key_in_use")),
        ([an_error(400, "idempotency_error")], Unknown("key_reused")),
        ([refused("lock_timeout", 429)], Unavailable("lock_timeout")),
        ([refused("", 401)], Unavailable("authentication", 60.0, needs_operator=True)),
        ([Says(200, taken(400, currency="eur"))], Unknown("another_amount")),
        ([Says(200, an_intent(CHARGE, "requires_confirmation"))], Unknown("not_confirmed")),
        ([Says(200, {"id": INTENT})], Unknown("unreadable_answer")),
    ],
)  # fmt: skip
def test_what_may_have_been_captured_is_never_declined(
    answers: list[Line], outcome: object
) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(*answers)
        assert capture(stripe) == outcome


def test_a_repeated_answer_is_asked_for_anew(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    then = Says(200, held(), {"Idempotent-Replayed": "true"})
    service.will(
        by_path(
            capture=then,
            **{INTENT: Says(200, taken(400))},
        )
    )
    assert capture(stripe) == Succeeded(INTENT, 400)


# --- in parts ---------------------------------------------------------------------------------


def test_who_may_capture_in_parts_asks_for_it_and_says_which_is_not_the_last() -> None:
    with stripe_by_script(multicapture=True) as (stripe, service):
        assert stripe.limits.captures_in_parts
        service.will(Says(200, held()))
        for one in (CHARGE, replace(CHARGE, capture="automatic")):
            stripe.charge(one, deadline_s=DEADLINE_S)
        asked = "payment_method_options[card][request_multicapture]"
        made = [asked_.body.get(asked) for asked_ in service.asked if asked_.method == "POST"]
        assert made == ["if_available", None]
        service.asked.clear()
        service.will(Says(200, held(amount_received=400)))
        assert capture(stripe, final=False) == Authorized(INTENT, 400, A_WEEK)
        service.will(Says(200, taken(800)))
        assert capture(stripe, captured_before=400) == Succeeded(INTENT, 800)
        captures = [asked_.body for asked_ in service.asked if asked_.path.endswith("capture")]
        assert [body.get("final_capture") for body in captures] == ["false", None]


def test_a_card_that_cannot_do_it_declines_the_part_and_stays_set_aside() -> None:
    with stripe_by_script(multicapture=True) as (stripe, service):
        service.will(refused(""), Says(200, held()))
        assert capture(stripe, final=False) == no("invalid_request_error")


@every(
    "intent, asked",
    [(held(amount_received=400), "capture"), (held(), "cancel")],
    ids=["captured in part", "not captured"],
)
def test_what_was_captured_in_part_is_let_go_of_by_a_last_capture_of_nothing(
    intent: dict[str, Any], asked: str
) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(
            by_path(
                capture=Says(200, taken(400)),
                cancel=Says(200, held(status="canceled")),
                **{INTENT: Says(200, intent)},
            )
        )
        stripe.cancel(CHARGE, deadline_s=DEADLINE_S)
        sent = service.asked[1]
        assert sent.path == f"/v1/payment_intents/{INTENT}/{asked}"
        if asked == "capture":
            assert sent.body == {"amount_to_capture": "0", "final_capture": "true"}


def test_the_fees_of_one_line_are_not_those_of_a_charge_that_was_captured_in_parts() -> None:
    card = {"card": {"multicapture": {"status": "available"}}}
    line = {"amount": 1000, "fee": 59, "net": 941, "currency": "usd"}
    charge = {
        "amount": 1000,
        "amount_captured": 1000,
        "currency": "usd",
        "payment_method_details": card,
    }
    assert fees_of({**charge, "balance_transaction": line}) == Fees(59, 941, "USD")
    assert fees_of({**charge, "balance_transaction": {**line, "amount": 600}}) is None


# --- what became of it ------------------------------------------------------------------------


@every(
    "found, outcome",
    [
        (held(), Authorized(INTENT, 0, A_WEEK)),  # not executed
        (taken(400), Succeeded(INTENT, 400)),
        (taken(1000), Succeeded(INTENT, 1000)),  # by somebody else, in the dashboard
        (held(status="canceled"), Canceled(INTENT)),
        (held(currency="eur"), Unknown("another_amount")),
    ],
)
def test_a_capture_is_looked_up_by_its_charge(found: dict[str, Any], outcome: object) -> None:
    with stripe_by_script() as (stripe, service):
        service.will(Says(200, found))
        assert stripe.look_up(CAPTURE, deadline_s=DEADLINE_S) == outcome
        assert service.asked[0].path == f"/v1/payment_intents/{INTENT}"
        nameless = replace(CAPTURE, charge_reference=None)
        assert stripe.look_up(nameless, deadline_s=DEADLINE_S) == NotFound()
