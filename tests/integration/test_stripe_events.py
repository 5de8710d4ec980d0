"""Stripe's events: who signed them, what they are about, and what is so by then."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.billing.contract.failures import message_for
from payments.processors.outcomes import Declined, Disputed, Fees, Pending, Succeeded
from payments.processors.port import (
    EventRefused,
    EventUnanswered,
    FoundRefund,
    ProcessorEvent,
)
from payments.processors.stripe import Stripe
from tests.support.every import every
from tests.support.processors import stripe_rig, taken
from tests.support.sandbox import a_charge, a_refund
from tests.support.scripted import Line, Resets, Says, Service
from tests.support.stripe import (
    INTENT,
    REFUND,
    TOLD_AT,
    WEBHOOK_SECRET,
    a_snapshot,
    a_stripe_refund,
    a_thin_event,
    an_error,
    an_intent,
    signed,
    stripe_by_script,
)
from tests.support.waiting import wait_for

NOW = 1_800_000_000.0
DEADLINE_S = 5.0
CHARGE = a_charge()
REFUND_OF = a_refund(CHARGE, amount=400, charge_reference=INTENT)
PAID = an_intent(CHARGE)
BODY = a_snapshot(PAID)
# docs.stripe.com/api/disputes/object and docs.stripe.com/api/charges/object, as far as they are
# read, and expanded.
DISPUTE: dict[str, Any] = {
    "id": "du_1",
    "object": "dispute",
    "amount": 1000,
    "currency": "usd",
    "reason": "fraudulent",
    "status": "needs_response",
    "evidence_details": {"due_by": TOLD_AT + 60},
    "payment_intent": PAID,
}
TRY: dict[str, Any] = {
    "id": "ch_1",
    "object": "charge",
    "amount": 1000,
    "amount_captured": 1000,
    "balance_transaction": {"fee": 59, "net": 941, "currency": "eur"},
    "payment_intent": {**PAID, "latest_charge": "ch_1"},
}
BOUNCED = Declined(
    "refund_failed", "expired_or_canceled_card", message_for("refund_failed"), REFUND
)


@pytest.fixture
def account() -> Iterator[tuple[Stripe, Service]]:
    with stripe_by_script(now=lambda: NOW) as made:
        yield made


def hear(stripe: Stripe, body: bytes, **signature: Any) -> object:
    headers = signed(body, at=signature.pop("at", NOW), **signature)
    return stripe.hear(headers, body, deadline_s=DEADLINE_S)


def by_hand(**changes: Any) -> dict[str, Any]:
    """A refund that was made in the dashboard, with its PaymentIntent expanded."""
    return a_stripe_refund(REFUND_OF, metadata={}, payment_intent=PAID, **changes)


# --- who wrote it -----------------------------------------------------------------------------


@every(
    "header",
    [
        "",
        "t=1,v1=00",
        "v1=00",
        "t=é,v1=\udcff",
        signed(BODY, at=NOW - 301)["Stripe-Signature"],
        signed(BODY, at=NOW + 301)["Stripe-Signature"],
        signed(BODY, at=NOW, secret="whsec_of_somebody_else")["Stripe-Signature"],
        signed(BODY + b" ", at=NOW)["Stripe-Signature"],
        signed(BODY, at=NOW)["Stripe-Signature"].replace("v1=", "v0="),
    ],
)
def test_what_stripe_did_not_sign_just_now_is_refused_and_nothing_is_asked(header: str) -> None:
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        with pytest.raises(EventRefused):
            stripe.hear({"stripe-signature": header}, BODY, deadline_s=DEADLINE_S)
        assert not service.asked


def test_while_a_secret_is_rolled_either_signs(account: tuple[Stripe, Service]) -> None:
    _, service = account
    service.will(Says(200, PAID))
    both = ["whsec_the_new_one", WEBHOOK_SECRET]
    rolling = Stripe(
        "sk_test_rolling0", webhook_secrets=both, api_base=service.url, now=lambda: NOW
    )
    for secret in both:
        assert hear(rolling, BODY, secret=secret)
    rolling.close()


def test_without_a_secret_nothing_is_believed(account: tuple[Stripe, Service]) -> None:
    _, service = account
    bare = Stripe("sk_test_rolling0", api_base=service.url, now=lambda: NOW)
    with pytest.raises(EventRefused):
        hear(bare, BODY, secret="")


@every(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b'{"object": "event", "data": []}',
        a_snapshot({"object": "refund", "id": "../customers"}),
        a_snapshot({"object": "refund", "id": 5}),
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        with pytest.raises(EventRefused):
            hear(stripe, body)
        assert not service.asked


# --- what it is about -------------------------------------------------------------------------


@every("write", [a_snapshot, a_thin_event])
def test_an_event_is_a_hint_and_what_it_names_is_looked_up(write: Any) -> None:
    """Whatever it says itself: the one that comes late tells of now."""
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        service.will(Says(200, an_intent(CHARGE, "processing")))
        told = hear(stripe, write(an_intent(CHARGE, "requires_action")))
        assert told == ProcessorEvent(
            CHARGE.id, "charge", Pending(INTENT, "processing"), CHARGE.amount, CHARGE.currency
        )
        assert service.asked[0].path == f"/v1/payment_intents/{INTENT}"
        service.will(Says(200, a_stripe_refund(REFUND_OF)))
        told = hear(stripe, write(a_stripe_refund(REFUND_OF)))
        assert told == ProcessorEvent(
            REFUND_OF.id, "refund", Succeeded(REFUND), 400, CHARGE.currency
        )


def test_a_payment_that_failed_is_closed_first(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    failed = an_intent(
        CHARGE, "requires_payment_method", last_payment_error={"code": "expired_card"}
    )
    service.will(Says(200, failed), Says(200, an_intent(CHARGE, "canceled")))
    told = hear(stripe, a_snapshot(failed))
    assert isinstance(told, ProcessorEvent)
    assert isinstance(told.outcome, Declined)
    assert service.asked[1].path.endswith("/cancel")


def test_a_refund_that_the_bank_returns_is_told_as_declined(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    failed = a_stripe_refund(REFUND_OF, "failed", failure_reason="expired_or_canceled_card")
    service.will(Says(200, failed))
    assert hear(stripe, a_snapshot(failed)) == ProcessorEvent(
        REFUND_OF.id, "refund", BOUNCED, 400, CHARGE.currency
    )


def test_a_refund_made_by_hand_is_known_by_its_charge(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    service.will(Says(200, by_hand()))
    assert hear(stripe, a_thin_event(by_hand())) == FoundRefund(
        REFUND, CHARGE.id, INTENT, 400, "USD", Succeeded(REFUND)
    )
    assert service.asked[0].query["expand[0]"] == ["payment_intent"]


@every(
    "event, answer",
    [
        (a_snapshot({"object": "customer", "id": "cus_1"}), None),
        (a_thin_event({"object": "payout", "id": "po_1"}), None),
        (a_snapshot(DISPUTE), Says(200, DISPUTE | {"payment_intent": None})),
        (a_snapshot(DISPUTE), Says(200, DISPUTE | {"status": "prevented"})),
        (a_snapshot(TRY), Says(200, TRY | {"payment_intent": None})),
        (BODY, Says(200, an_intent(CHARGE, metadata={}))),
        (BODY, Says(200, an_intent(CHARGE, metadata={"billing_charge_id": "not an id"}))),
        (BODY, Says(200, an_intent(CHARGE, "requires_confirmation"))),
        (a_snapshot(by_hand()), Says(200, {**by_hand(), "payment_intent": None})),
        (a_snapshot(by_hand()),
         Says(200, {**by_hand(), "payment_intent": {**PAID, "metadata": {}}})),
        (BODY, an_error(404, "invalid_request_error", code="resource_missing")),
    ],
)  # fmt: skip
def test_what_is_about_nothing_of_ours_is_heard_and_let_go(
    event: bytes, answer: Line | None
) -> None:
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        service.will(answer or Says(500, {}))
        assert hear(stripe, event) is None


@every(
    "answer",
    [
        Says(500, {}),
        Resets(),
        Says(200, {"id": INTENT, "metadata": {"billing_charge_id": CHARGE.id}}),
        an_error(401, "invalid_request_error"),
    ],
)
def test_what_can_not_be_looked_up_now_comes_again(answer: Line) -> None:
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        service.will(answer)
        with pytest.raises(EventUnanswered):
            hear(stripe, BODY)


# --- disputes and fees ------------------------------------------------------------------------


@every("write", [a_snapshot, a_thin_event])
@every("status, due_by", [("needs_response", TOLD_AT + 60), ("won", None)])
def test_a_dispute_is_told_of_its_charge_as_it_stands(
    write: Any, status: str, due_by: int | None
) -> None:
    stands = DISPUTE | {"status": status, "evidence_details": {"due_by": due_by}}
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        service.will(Says(200, stands))
        told = hear(stripe, write(DISPUTE | {"status": "under_review"}))
        assert service.asked[0].path == "/v1/disputes/du_1"
        assert service.asked[0].query == {"expand[0]": ["payment_intent"]}
    told_at = datetime.fromtimestamp(TOLD_AT, UTC)
    respond_by = None if due_by is None else told_at + timedelta(minutes=1)
    assert told == ProcessorEvent(
        CHARGE.id,
        "dispute",
        Disputed("du_1", status, 1000, "USD", "fraudulent", told_at, respond_by),  # type: ignore[arg-type]
    )


@every(
    "changes, fees",
    [
        ({}, Fees(59, 941, "EUR")),
        ({"balance_transaction": {"fee": 5900, "net": 94100, "currency": "isk"}},
         Fees(59, 941, "ISK")),
        ({"balance_transaction": None}, None),  # not known yet
        ({"amount_captured": 400}, None),  # its line is of the whole
        ({"id": "ch_0"}, None),  # an earlier try, which failed
    ],
)  # fmt: skip
def test_fees_are_told_with_the_try_of_a_charge(changes: dict[str, Any], fees: object) -> None:
    with stripe_by_script(now=lambda: NOW) as (stripe, service):
        service.will(Says(200, TRY | changes))
        told = hear(stripe, a_snapshot(TRY, "charge.updated"))
        assert service.asked[0].path == "/v1/charges/ch_1"
        assert isinstance(told, ProcessorEvent)
        assert (told.object_id, told.kind) == (CHARGE.id, "charge")
        assert told.outcome == Succeeded(INTENT, fees=fees)  # type: ignore[arg-type]


def test_fees_come_with_the_events_of_the_stand_in() -> None:
    with stripe_rig("") as rig:
        charge = taken(rig)
        fees: list[Fees] = []

        def told() -> bool:
            heard = [rig.read(*event) for event in rig.events()]
            outcomes = [one.outcome for one in heard if one and one.object_id == charge.id]
            fees.extend(one.fees for one in outcomes if isinstance(one, Succeeded) and one.fees)
            return bool(fees)

        wait_for(told, what="an event with fees")
        assert fees[0] == Fees(59, 941, "USD")


def test_a_try_that_is_under_way_says_how_its_charge_stands(
    account: tuple[Stripe, Service],
) -> None:
    stripe, service = account
    intent = an_intent(CHARGE, "processing", latest_charge="ch_1")
    service.will(Says(200, TRY | {"payment_intent": intent, "balance_transaction": None}))
    told = hear(stripe, a_snapshot(TRY, "charge.pending"))
    assert isinstance(told, ProcessorEvent)
    assert told.outcome == Pending(INTENT, "processing")


def test_amounts_come_back_in_our_minor_units(account: tuple[Stripe, Service]) -> None:
    stripe, service = account
    charge = replace(CHARGE, amount=5, currency="ISK")
    paid = an_intent(charge, amount=500)
    service.will(Says(200, by_hand() | {"amount": 300, "currency": "isk", "payment_intent": paid}))
    told = hear(stripe, a_snapshot(by_hand()))
    assert isinstance(told, FoundRefund)
    assert (told.amount, told.currency) == (3, "ISK")


@every("body", [a_snapshot(PAID), a_thin_event(PAID)])
def test_an_event_of_the_other_mode_is_told_to_come_again(
    account: tuple[Stripe, Service], body: bytes
) -> None:
    """Our key would not find what it is about."""
    stripe, service = account
    live = json.dumps({**json.loads(body), "livemode": True}).encode()
    with pytest.raises(EventUnanswered, match="livemode_differs"):
        hear(stripe, live)
    service.will(Says(200, PAID))
    assert service.asked == []
    test = json.dumps({**json.loads(body), "livemode": False}).encode()
    assert isinstance(hear(stripe, test), ProcessorEvent)
    service.asked.clear()
