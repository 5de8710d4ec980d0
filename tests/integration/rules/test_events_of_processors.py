"""What a processor brings to our door: late, early, twice, and refunds that it made by itself."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from payments.processors.outcomes import Declined, Pending, Succeeded, Unknown
from payments.processors.port import FoundRefund, ProcessorEvent
from tests.support.every import every
from tests.support.factories import Till, a_charge, a_refund

BOUNCED = Declined("refund_failed", "lost_or_stolen_card", "")


@pytest.fixture
def till(shared_engine: Engine) -> Till:
    return Till(shared_engine)


def found(charge_id: str, **changes: Any) -> FoundRefund:
    """400 of a charge of 1000, given back by hand."""
    reference = f"re_of_{charge_id}"
    outcome = Succeeded(reference)
    made = FoundRefund(reference, charge_id, f"sbx_{charge_id}", 400, "USD", outcome)
    return replace(made, **changes)


def refunds_of(till: Till, charge_id: str) -> list[dict[str, Any]]:
    return till.query("SELECT * FROM refunds WHERE charge_id = :id ORDER BY id", id=charge_id)


def sums(till: Till, charge_id: str) -> tuple[int, int]:
    row = till.row(charge_id)
    return row["refunded_amount"], row["refund_reserved"]


def test_an_event_and_an_answer_end_the_same_whoever_comes_first(till: Till) -> None:
    first, second = till.claim(a_charge()), till.claim(a_charge())
    told = Succeeded("pi_1")
    assert till.hear(ProcessorEvent(first.id, "charge", told))
    till.settle(first, Unknown("timeout"))
    till.settle(second, told)
    assert till.hear(ProcessorEvent(second.id, "charge", told))
    for one in (first, second):
        assert till.stand(one.id) == "succeeded"
        assert till.events(one.id) == ["charge.succeeded"]


def test_an_event_about_what_is_not_here_yet_is_to_come_again(till: Till) -> None:
    charge, refund = a_charge(), a_refund(a_charge())
    assert not till.hear(ProcessorEvent(charge.id, "charge", Succeeded("pi_1")))
    assert not till.hear(ProcessorEvent(refund.id, "refund", Succeeded("re_1")))
    till.claim(charge)
    assert till.hear(ProcessorEvent(charge.id, "charge", Succeeded("pi_1")))
    assert till.stand(charge.id) == "succeeded"


def test_what_carries_our_id_and_another_reference_changes_nothing(till: Till) -> None:
    """Somebody copied a PaymentIntent, metadata and all."""
    claimed = till.claim(a_charge())
    till.settle(claimed, Pending("pi_1", "processing"))
    assert till.hear(ProcessorEvent(claimed.id, "charge", Succeeded("pi_2")))
    assert till.stand(claimed.id) == "awaiting_customer"
    assert till.hear(ProcessorEvent(claimed.id, "charge", Succeeded("pi_1")))
    assert till.stand(claimed.id) == "succeeded"


@every("theirs", [(999, "USD"), (1000, "EUR")])
def test_what_carries_our_id_and_is_of_another_amount_changes_nothing(
    till: Till, theirs: tuple[int, str]
) -> None:
    """Another installation on the same account, with the same keys."""
    claimed = till.claim(a_charge(amount=1000, currency="USD"))
    till.settle(claimed, Unknown("key_reused"))
    assert till.hear(ProcessorEvent(claimed.id, "charge", Succeeded("pi_2"), *theirs))
    assert till.stand(claimed.id) == "unknown"
    assert till.hear(ProcessorEvent(claimed.id, "charge", Succeeded("pi_1"), 1000, "USD"))
    assert till.stand(claimed.id) == "succeeded"


def test_a_refund_made_by_hand_is_recorded_reserved_and_told_once(till: Till) -> None:
    charge_id = till.charged()
    for _ in range(2):
        assert till.hear(found(charge_id))
    (refund,) = refunds_of(till, charge_id)
    assert (refund["state"], refund["amount"], refund["currency"]) == ("succeeded", 400, "USD")
    assert refund["processor_reference"] == f"re_of_{charge_id}"
    assert refund["producer"] == "tests"
    assert till.events(refund["id"]) == ["refund.succeeded"]
    assert sums(till, charge_id) == (400, 400)
    assert not till.wakes.refunds


def test_a_refund_made_by_hand_that_takes_its_time_is_looked_up_and_never_sent(till: Till) -> None:
    charge_id = till.charged()
    assert till.hear(found(charge_id, outcome=Pending(f"re_of_{charge_id}", "processing")))
    (refund,) = refunds_of(till, charge_id)
    assert till.stand(refund["id"]) == "awaiting_customer"
    assert sums(till, charge_id) == (0, 400)
    assert till.hear(found(charge_id))
    assert sums(till, charge_id) == (400, 400)


def test_a_refund_made_by_hand_that_the_bank_returns_may_be_made_again(till: Till) -> None:
    charge_id = till.charged()
    assert till.hear(found(charge_id))
    assert till.hear(found(charge_id, outcome=BOUNCED))
    assert till.hear(found(charge_id))  # old news
    (refund,) = refunds_of(till, charge_id)
    assert refund["state"] == "failed"
    assert till.events(refund["id"])[-1] == "refund.failed"
    assert sums(till, charge_id) == (0, 0)


def test_a_refund_made_by_hand_waits_for_its_charge(till: Till) -> None:
    claimed = till.claim(a_charge())
    reference = f"sbx_{claimed.id}"
    assert not till.hear(found(claimed.id))
    till.settle(claimed, Succeeded(reference))
    assert till.hear(found(claimed.id))


def test_a_refund_made_by_hand_waits_for_what_others_hold(till: Till) -> None:
    charge_id = till.charged()
    ours = till.claim(a_refund(charge_id, amount=800))
    assert not till.hear(found(charge_id))
    till.settle(ours, Declined("refund_declined", "charge_already_refunded", ""))
    assert till.hear(found(charge_id))
    assert sums(till, charge_id) == (400, 400)


@pytest.mark.parametrize("changes", [{"charge_reference": "pi_of_another"}, {"currency": "EUR"}])
def test_a_refund_of_something_else_is_not_recorded(till: Till, changes: dict[str, str]) -> None:
    charge_id = till.charged()
    assert not till.hear(found(charge_id, **changes))
    assert not till.hear(found(charge_id), by="another")
    assert refunds_of(till, charge_id) == []
