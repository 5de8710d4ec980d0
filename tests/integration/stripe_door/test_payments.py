"""The life of a payment at the door, as Stripe's own library sees it."""

import stripe

from local.stripe_door.cards import CARDS
from tests.support.every import every
from tests.support.stripe_door import Door, directions, pay, raised, stripe_door
from tests.support.stripe_shapes import differences

Client = stripe.StripeClient
RETURN_URL = "https://shop.example/back?order=7"


# --- shapes -----------------------------------------------------------------------------------


def test_every_object_has_the_shape_that_stripes_library_declares(client: Client) -> None:
    with stripe_door() as door:
        client = door.client()
        customer = client.v1.customers.create({"email": "ada@example.com"})
        client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        for method in ("pm_card_visa", "pm_card_createDispute", "pm_card_refundFail"):
            paid = pay(client, method, customer=customer.id)
            if method == "pm_card_refundFail":
                client.v1.refunds.create({"payment_intent": paid.id})
        held = pay(client, capture_method="manual")
        client.v1.payment_intents.capture(held.id, {"amount_to_capture": 600})
        pay(client, "pm_card_authenticationRequired", return_url=RETURN_URL)
        raised(stripe.CardError, pay, client, "pm_card_chargeDeclined")
        door.wait(3 * 86_400)
        door.pay_out()
        lists = {
            stripe.BalanceTransaction: client.v1.balance_transactions.list({"limit": 100}),
            stripe.Charge: client.v1.charges.list(),
            stripe.Customer: client.v1.customers.list(),
            stripe.Dispute: client.v1.disputes.list(),
            stripe.Event: client.v1.events.list({"limit": 100}),
            stripe.PaymentIntent: client.v1.payment_intents.list(),
            stripe.PaymentMethod: client.v1.payment_methods.list(),
            stripe.Payout: client.v1.payouts.list(),
            stripe.Refund: client.v1.refunds.list(),
        }
        for kind, page in lists.items():
            assert page.data, kind
            for one in page.data:
                assert isinstance(one, kind)
                assert list(differences(one.to_dict(), kind)) == []


def test_the_second_opinion_sees_what_is_wrong(client: Client) -> None:
    charge = client.v1.charges.list().data or [pay(client, expand=["latest_charge"]).latest_charge]
    shape = charge[0].to_dict()  # type: ignore[union-attr]
    wrong = {**shape, "amount": "7", "typo": 1, "outcome": {**shape["outcome"], "typo": 1}}
    del wrong["currency"]
    told = list(differences(wrong, stripe.Charge))
    assert sorted(one.split(" ")[0] for one in told) == [
        "amount", "currency", "outcome.typo", "typo",
    ]  # fmt: skip


# --- Stripe's test cards ----------------------------------------------------------------------

GENERIC = ("card_declined", "generic_decline")
# What Stripe's page says of each (docs.stripe.com/testing): the code and the decline code.
DECLINES = {
    "pm_card_chargeDeclined": GENERIC,
    "pm_card_visa_chargeDeclined": GENERIC,
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_card_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", None),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", None),
    "pm_card_chargeDeclinedVelocityLimitExceeded": ("card_declined", "card_velocity_exceeded"),
    "pm_card_chargeDeclinedFraudulent": ("card_declined", "fraudulent"),
    "pm_card_radarBlock": ("card_declined", "fraudulent"),
    "pm_card_chargeCustomerFail": GENERIC,
    "pm_card_chargeDeclinedOnAttach": GENERIC,
}
AUTHENTICATES = sorted(name for name, card in CARDS.items() if card.authentication == "always")
SUCCEEDS = sorted(
    name for name, card in CARDS.items() if not card.decline and card.authentication != "always"
)


@every("method, codes", DECLINES.items())
def test_a_card_that_declines_says_why(
    door: Door, client: Client, method: str, codes: tuple[str, str | None]
) -> None:
    error = raised(stripe.CardError, pay, client, method)
    told = error.error
    assert error.http_status == 402
    assert (error.code, getattr(told, "decline_code", None)) == codes
    assert told.type == "card_error"
    assert told.message
    intent = client.v1.payment_intents.retrieve(told.payment_intent.id)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error.code == codes[0]  # type: ignore[union-attr]
    assert intent.latest_charge == told.charge
    charge = client.v1.charges.retrieve(told.charge)
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, codes[0])
    assert directions(door, intent) == []


@every("name", SUCCEEDS)
def test_a_card_that_works_moves_the_money_once(door: Door, client: Client, name: str) -> None:
    intent = pay(client, f"pm_card_{name}")
    assert (intent.status, intent.amount_received) == ("succeeded", 1000)
    assert ("charge", 1000) in directions(door, intent)


@every("name", AUTHENTICATES)
def test_a_card_that_authenticates_asks_the_customer(door: Door, client: Client, name: str) -> None:
    intent = pay(client, f"pm_card_{name}", return_url=RETURN_URL)
    action = intent.next_action
    assert intent.status == "requires_action"
    assert action is not None
    assert action.type == "redirect_to_url"
    assert action.redirect_to_url.return_url == RETURN_URL  # type: ignore[union-attr]
    assert directions(door, intent) == []
    error = raised(stripe.CardError, pay, client, f"pm_card_{name}", off_session=True)
    assert error.code == "authentication_required"
    sdk = pay(client, f"pm_card_{name}")
    assert sdk.next_action is not None
    assert sdk.next_action.type == "use_stripe_sdk"


@every(
    "method, outcome, status",
    [
        ("pm_card_authenticationRequired", "succeed", "succeeded"),
        ("pm_card_authenticationRequired", "fail", "requires_payment_method"),
        ("pm_card_threeDSecureRequiredChargeDeclined", "succeed", "requires_payment_method"),
    ],
)
def test_the_customers_answer_decides(
    door: Door, client: Client, method: str, outcome: str, status: str
) -> None:
    intent = pay(client, method, return_url=RETURN_URL)
    answer = door.customer_says(intent.id, outcome)
    assert answer.status == 302
    assert answer.headers["Location"].startswith(f"{RETURN_URL}&payment_intent={intent.id}&")
    after = client.v1.payment_intents.retrieve(intent.id)
    assert after.status == status
    assert directions(door, intent) == ([("charge", 1000)] if status == "succeeded" else [])
    assert door.customer_says(intent.id, outcome).status == 400


# --- capture and cancel -----------------------------------------------------------------------


def test_what_is_held_is_captured_in_part_and_the_rest_let_go(door: Door, client: Client) -> None:
    intent = pay(client, capture_method="manual", expand=["latest_charge"])
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1000)
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.payment_method_details.card.capture_before > charge.created  # type: ignore[union-attr]
    assert directions(door, intent) == []
    capture = client.v1.payment_intents.capture
    error = raised(stripe.InvalidRequestError, capture, intent.id, {"amount_to_capture": 1001})
    assert error.code == "amount_too_large"
    captured = capture(intent.id, {"amount_to_capture": 600})
    assert (captured.status, captured.amount_received) == ("succeeded", 600)
    assert directions(door, intent) == [("charge", 600)]
    again = raised(stripe.InvalidRequestError, capture, intent.id)
    assert again.code == "payment_intent_unexpected_state"
    # Two entries of the balance: all that was held, and what was let go of it.
    page = client.v1.balance_transactions.list({"source": charge.id})
    assert [(one.amount, one.reporting_category) for one in page.data] == [
        (-400, "partial_capture_reversal"), (1000, "charge"),
    ]  # fmt: skip


def test_a_customer_that_was_deleted_pays_nothing(client: Client) -> None:
    customer = client.v1.customers.create({"name": "Ada"})
    assert client.v1.customers.delete(customer.id).deleted
    error = raised(stripe.InvalidRequestError, pay, client, customer=customer.id)
    assert error.code == "resource_missing"
    assert client.v1.customers.retrieve(customer.id).deleted


IN_PARTS = {
    "capture_method": "manual",
    "payment_method_options": {"card": {"request_multicapture": "if_available"}},
    "expand": ["latest_charge"],
}


def test_what_may_be_captured_in_parts_stays_held_until_the_last(
    door: Door, client: Client
) -> None:
    intent, capture = pay(client, **IN_PARTS), client.v1.payment_intents.capture
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.payment_method_details.card.multicapture.status == "available"  # type: ignore[union-attr]
    part = capture(intent.id, {"amount_to_capture": 600, "final_capture": False})
    assert (part.status, part.amount_capturable, part.amount_received) == (
        "requires_capture", 400, 600,
    )  # fmt: skip
    error = raised(stripe.InvalidRequestError, client.v1.payment_intents.cancel, intent.id)
    assert error.http_status == 400
    last = capture(intent.id, {"amount_to_capture": 100})
    assert (last.status, last.amount_capturable, last.amount_received) == ("succeeded", 0, 700)
    assert directions(door, intent) == [("charge", 600), ("charge", 100)]
    assert client.v1.charges.retrieve(charge.id).amount_refunded == 0
    refund = client.v1.refunds.create
    raised(stripe.InvalidRequestError, refund, {"payment_intent": intent.id, "amount": 701})
    assert refund({"payment_intent": intent.id}).amount == 700


@every("taken", [0, 600])
def test_what_is_left_is_let_go_of_by_a_last_capture_of_nothing_or_by_time(
    door: Door, client: Client, taken: int
) -> None:
    capture = client.v1.payment_intents.capture
    intents = [pay(client, **IN_PARTS) for _ in range(2)]
    for intent in intents:
        if taken:
            capture(intent.id, {"amount_to_capture": taken, "final_capture": False})
    last = {"amount_to_capture": 0, "final_capture": True}
    if taken:
        assert capture(intents[0].id, last).status == "succeeded"  # type: ignore[arg-type]
    else:
        raised(stripe.InvalidRequestError, capture, intents[0].id, last)
    door.wait(8 * 24 * 3600)
    after = client.v1.payment_intents.retrieve(intents[1].id)
    assert (after.status, after.amount_received) == (
        ("succeeded", taken) if taken else ("canceled", 0)
    )


def test_what_may_not_be_captured_in_parts_is_refused_a_part(door: Door, client: Client) -> None:
    for intent in (
        pay(client, capture_method="manual"),
        pay(client, "pm_card_jcb", **IN_PARTS),  # such a card can't, whatever is asked for
    ):
        part = {"amount_to_capture": 600, "final_capture": False}
        error = raised(
            stripe.InvalidRequestError, client.v1.payment_intents.capture, intent.id, part
        )
        assert error.param == "final_capture"
        assert directions(door, intent) == []


def test_a_payment_is_canceled_until_it_has_succeeded(door: Door, client: Client) -> None:
    cancel = client.v1.payment_intents.cancel
    for params in ({"capture_method": "manual"}, {"confirm": False}):
        intent = pay(client, **params)
        ended = cancel(intent.id, {"cancellation_reason": "abandoned"})
        assert (ended.status, ended.cancellation_reason) == ("canceled", "abandoned")
        assert directions(door, intent) == []
        error = raised(stripe.InvalidRequestError, cancel, intent.id)
        assert error.code == "payment_intent_unexpected_state"
    raised(stripe.InvalidRequestError, cancel, pay(client).id)


def test_the_bank_holds_money_for_seven_days(client: Client) -> None:
    with stripe_door() as door:
        client = door.client()
        intent = pay(client, capture_method="manual")
        door.wait(7 * 86_400 + 1)
        ended = client.v1.payment_intents.retrieve(intent.id)
        assert (ended.status, ended.cancellation_reason) == ("canceled", "automatic")


def test_a_payment_is_confirmed_later(door: Door, client: Client) -> None:
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    assert intent.status == "requires_payment_method"
    confirm = client.v1.payment_intents.confirm
    assert raised(stripe.InvalidRequestError, confirm, intent.id).code == (
        "payment_intent_unexpected_state"
    )
    raised(stripe.CardError, confirm, intent.id, {"payment_method": "pm_card_chargeDeclined"})
    paid = confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    assert directions(door, intent) == [("charge", 1000)]


@every(
    "method, status",
    [
        ("pm_fault_late_success", "succeeded"),
        ("pm_fault_late_decline", "requires_payment_method"),
    ],
)
def test_a_bank_may_take_its_time(method: str, status: str) -> None:
    with stripe_door() as door:
        client = door.client()
        intent = pay(client, method)
        assert intent.status == "processing"
        assert directions(door, intent) == []
        door.wait(3)
        assert client.v1.payment_intents.retrieve(intent.id).status == status
        assert bool(directions(door, intent)) == (status == "succeeded")
