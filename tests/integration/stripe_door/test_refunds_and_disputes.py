"""Money that goes back at the door: refunds, disputes, and what is paid out then."""

import stripe

from tests.support.every import every
from tests.support.stripe_door import Door, directions, pay, raised, stripe_door
from tests.support.waiting import wait_for

Client = stripe.StripeClient


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
