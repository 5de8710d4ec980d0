"""The life of a payment at the door, as Stripe's own library sees it."""

from typing import Any

import pytest
import stripe

from local.stripe_door.cards import CARDS
from tests.support.every import every
from tests.support.stripe_door import Door, raised, stripe_door
from tests.support.stripe_shapes import differences
from tests.support.waiting import wait_for

Client = stripe.StripeClient
RETURN_URL = "https://shop.example/back?order=7"


def pay(client: Client, method: str = "pm_card_visa", **params: Any) -> stripe.PaymentIntent:
    given = {"amount": 1000, "currency": "usd", "payment_method": method, "confirm": True}
    return client.v1.payment_intents.create({**given, **params})  # type: ignore[arg-type]


def directions(door: Door, intent: stripe.PaymentIntent) -> list[tuple[str, int]]:
    moved = door.movements(payment_intent=intent.id)
    return [(one["direction"], one["amount"]) for one in moved]


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


# --- refunds ----------------------------------------------------------------------------------


def test_refunds_go_back_until_nothing_is_left(door: Door, client: Client) -> None:
    intent = pay(client)
    refund = client.v1.refunds.create
    for amount in (400, 600):
        made = refund({"payment_intent": intent.id, "amount": amount, "metadata": {"order": "7"}})
        assert (made.status, made.metadata["order"]) == ("succeeded", "7")  # type: ignore[index]
    raised(stripe.InvalidRequestError, refund, {"payment_intent": intent.id, "amount": 1})
    error = raised(stripe.InvalidRequestError, refund, {"charge": intent.latest_charge})
    assert error.code == "charge_already_refunded"
    assert directions(door, intent) == [("charge", 1000), ("refund", 400), ("refund", 600)]
    charge = client.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded) == (True, 1000)
    assert [one.amount for one in charge.refunds.data] == [600, 400]  # type: ignore[union-attr]


def test_more_than_was_taken_is_not_given_back(door: Door, client: Client) -> None:
    intent = pay(client, capture_method="manual")
    refund = client.v1.refunds.create
    raised(stripe.InvalidRequestError, refund, {"payment_intent": intent.id})
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 600})
    error = raised(stripe.InvalidRequestError, refund, {"payment_intent": intent.id, "amount": 601})
    assert error.param == "amount"
    refund({"payment_intent": intent.id, "amount": 600})
    assert directions(door, intent) == [("charge", 600), ("refund", 600)]


@every(
    "method, first, last, moved",
    [
        ("pm_card_refundFail", "succeeded", "failed", ["charge", "refund", "refund_failure"]),
        ("pm_card_pendingRefund", "pending", "succeeded", ["charge", "refund"]),
        ("pm_fault_refund_declined", "failed", "failed", ["charge"]),
    ],
)
def test_a_refund_may_end_otherwise(method: str, first: str, last: str, moved: list[str]) -> None:
    with stripe_door() as door:
        client = door.client()
        intent = pay(client, method)
        refund = client.v1.refunds.create({"payment_intent": intent.id})
        assert refund.status == first
        door.wait(3)
        after = client.v1.refunds.retrieve(refund.id)
        assert after.status == last
        assert bool(after.failure_reason) == (last == "failed")
        assert [direction for direction, _ in directions(door, intent)] == moved


def test_a_pending_refund_is_canceled_and_the_money_comes_again(door: Door, client: Client) -> None:
    intent = pay(client, "pm_card_pendingRefund")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert client.v1.refunds.cancel(refund.id).status == "canceled"
    raised(stripe.InvalidRequestError, client.v1.refunds.cancel, refund.id)
    assert [name for name, _ in directions(door, intent)] == ["charge", "refund", "refund_failure"]


# --- disputes ---------------------------------------------------------------------------------


def disputed(client: Client, method: str) -> tuple[stripe.PaymentIntent, stripe.Dispute]:
    intent = pay(client, method)
    by_charge = {"charge": str(intent.latest_charge)}
    wait_for(lambda: bool(client.v1.disputes.list(by_charge).data), what="a dispute")  # type: ignore[arg-type]
    (dispute,) = client.v1.disputes.list(by_charge).data  # type: ignore[arg-type]
    return intent, dispute


@every(
    "evidence, status, moved",
    [
        ("winning_evidence", "won", ["charge", "dispute", "dispute_reversal"]),
        ("losing_evidence", "lost", ["charge", "dispute"]),
        (None, "lost", ["charge", "dispute"]),
    ],
)
def test_a_dispute_takes_the_money_and_evidence_may_bring_it_back(
    evidence: str | None, status: str, moved: list[str]
) -> None:
    with stripe_door() as door:
        client = door.client()
        intent, dispute = disputed(client, "pm_card_createDispute")
        assert (dispute.status, dispute.reason) == ("needs_response", "fraudulent")
        assert dispute.is_charge_refundable is False
        refused = raised(
            stripe.InvalidRequestError, client.v1.refunds.create, {"payment_intent": intent.id}
        )
        assert refused.code == "charge_disputed"
        if evidence is None:
            client.v1.disputes.close(dispute.id)
        else:
            sent = client.v1.disputes.update(
                dispute.id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
            )
            assert sent.status == "under_review"
            door.wait(3)
        assert client.v1.disputes.retrieve(dispute.id).status == status
        assert [direction for direction, _ in directions(door, intent)] == moved


def test_an_inquiry_moves_nothing_and_the_charge_may_be_refunded(
    door: Door, client: Client
) -> None:
    intent, dispute = disputed(client, "pm_card_createDisputeInquiry")
    assert (dispute.status, dispute.is_charge_refundable) == ("warning_needs_response", True)
    assert dispute.balance_transactions == []
    client.v1.refunds.create({"payment_intent": intent.id})
    assert [name for name, _ in directions(door, intent)] == ["charge", "refund"]


# --- balance and payouts ----------------------------------------------------------------------


def test_a_payout_is_the_sum_of_what_it_lists() -> None:
    with stripe_door() as door:
        client = door.client()
        intent = pay(client, expand=["latest_charge.balance_transaction"])
        charge = intent.latest_charge
        assert isinstance(charge, stripe.Charge)
        entry = charge.balance_transaction
        assert isinstance(entry, stripe.BalanceTransaction)
        assert (entry.amount, entry.fee, entry.net) == (1000, 59, 941)
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 300})
        assert door.pay_out() == []  # nothing is available yet
        door.wait(2 * 86_400 + 1)
        (paid,) = door.pay_out()
        assert paid["amount"] == 641
        page = client.v1.balance_transactions.list({"payout": paid["id"]})
        assert [(one.type, one.net) for one in page.data] == [
            ("payout", -641), ("refund", -300), ("charge", 941),
        ]  # fmt: skip
        assert sum(one.net for one in page.data) == 0
        assert [one.id for one in client.v1.payouts.list({"status": "paid"}).data] == [paid["id"]]


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


@pytest.fixture(autouse=True)
def _nothing_moved_twice(door: Door) -> Any:
    yield
    moved = [(one["object"], one["direction"]) for one in door.movements()]
    assert len(moved) == len(set(moved))
