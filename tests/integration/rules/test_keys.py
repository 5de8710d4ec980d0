"""One key, one charge: however often, at once, and over whichever door it is sent."""

from typing import Any

from payments.lifecycle.accepting.charges import Accepted
from payments.lifecycle.accepting.refunds import Accepted as RefundAccepted
from payments.lifecycle.claims import Claimed, NotDue
from payments.payment_errors import KeyReused, ReferenceInUse, RefundExceedsCharge
from payments.processors.outcomes import Declined
from tests.support.factories import SUCCEEDED, Till, a_charge, a_refund, is_claimed
from tests.support.threads import at_once

SENDERS = 20
DECLINED = Declined("card_declined", "generic_decline", "The card was declined.")


def test_one_key_sent_a_hundred_times_at_once_is_one_charge_claimed_once(till: Till) -> None:
    request = a_charge()
    # Batches of five from twenty threads, half of them over the door that does not claim.
    answers = at_once(
        SENDERS,
        lambda n: till.create(*[request] * 5) if n % 2 else till.accept(*[request] * 5),
    )
    claimed = [a for batch in answers for a in batch if isinstance(a, Claimed)]
    claimed += [till.claim(request.id)] if not claimed else []
    assert len(claimed) == 1
    till.settle(claimed[0], SUCCEEDED)
    assert till.row(request.id)["state"] == "succeeded"
    assert till.events(request.id) == ["charge.succeeded"]
    ids = {a.row.id for batch in answers for a in batch}
    assert ids == {request.id}


def test_only_one_answer_of_many_says_that_the_charge_is_new(till: Till) -> None:
    request = a_charge()
    answers = at_once(10, lambda _: till.accept(request, request))
    assert sum(one.fresh for batch in answers for one in batch) == 1


def test_one_refund_of_all_that_is_left_sent_many_times_at_once_is_one_refund(till: Till) -> None:
    request = a_refund(till.charged())
    answers = at_once(SENDERS, lambda n: till.create(request) if n % 2 else till.accept(request))
    assert all(isinstance(a, (Claimed, NotDue, RefundAccepted)) for (a,) in answers), answers
    assert sum(is_claimed(a) for (a,) in answers) <= 1
    assert till.row(request.id)["amount"] == 1000
    assert till.row(request.charge_id)["refund_reserved"] == 1000


def test_a_repeat_finds_the_charge_as_it_stands(till: Till) -> None:
    request = a_charge()
    till.settle(till.claim(request), SUCCEEDED)
    (repeat,) = till.create(request)
    assert isinstance(repeat, NotDue)
    assert repeat.row.state == "succeeded"
    (accepted,) = till.accept(request)
    assert isinstance(accepted, Accepted)
    assert not accepted.fresh


def test_a_key_with_another_amount_is_a_conflict_and_the_first_is_untouched(till: Till) -> None:
    first = a_charge(amount=1000)
    (claimed,) = till.create(first)
    before = till.row(first.id)
    changes: list[dict[str, Any]] = [
        {"amount": 1001}, {"currency": "EUR"}, {"customer_id": "cus_2"}, {"metadata": {"a": "b"}},
        {"amount": 1001, "reference": "order-2"},
    ]  # fmt: skip
    for change in changes:
        request = a_charge(idempotency_key=first.idempotency_key, **change)
        (refused,) = till.create(request)
        assert isinstance(refused, KeyReused)
        assert (refused.param, refused.facts["differs"]) == ("idempotency_key", [*change])
        assert f"with another {' and '.join(change)};" in str(refused)
    assert till.row(first.id) == before
    till.settle(claimed, SUCCEEDED)
    assert till.events(first.id) == ["charge.succeeded"]


def test_a_key_used_twice_in_one_batch_with_two_amounts_is_a_conflict_for_one(till: Till) -> None:
    first = a_charge(amount=1)
    second = a_charge(amount=2, idempotency_key=first.idempotency_key)
    answers = till.create(first, second)
    assert sorted(type(a).__name__ for a in answers) == ["Claimed", "KeyReused"]


def test_a_refunds_key_with_another_amount_is_a_conflict(till: Till) -> None:
    first = a_refund(till.charged(), amount=100)
    till.accept(first)
    (refused,) = till.accept(
        a_refund(first.charge_id, amount=99, idempotency_key=first.idempotency_key)
    )
    assert isinstance(refused, KeyReused)
    assert refused.facts == {"differs": ["amount"], "refund_id": first.id}
    (refused,) = till.accept(a_refund(first.charge_id, idempotency_key=first.idempotency_key))
    assert isinstance(refused, KeyReused)
    assert refused.facts == {"refund_id": first.id}  # all that is left may be as much
    assert till.row(first.charge_id)["refund_reserved"] == 100


def test_the_same_key_of_two_producers_is_two_charges(till: Till) -> None:
    ours = a_charge()
    theirs = a_charge(idempotency_key=ours.idempotency_key, producer="others")
    assert all(is_claimed(a) for a in till.create(ours, theirs))
    assert ours.id != theirs.id


def test_the_same_key_is_a_charge_and_a_refund(till: Till) -> None:
    charge = a_charge()
    assert a_refund(charge, idempotency_key=charge.idempotency_key).id[3:] != charge.id[3:]


def test_two_keys_for_one_reference_are_one_charge_and_a_refusal(till: Till) -> None:
    reference = a_charge().idempotency_key
    answers = at_once(8, lambda _: till.create(a_charge(reference=reference)))
    flat = [type(a) for (a,) in answers]
    assert flat.count(Claimed) == 1
    assert flat.count(ReferenceInUse) == 7


def test_a_reference_is_free_again_when_its_charge_has_failed(till: Till) -> None:
    first = a_charge(reference=a_charge().idempotency_key)
    till.settle(till.claim(first), DECLINED)
    second = a_charge(reference=first.reference)
    till.settle(till.claim(second), SUCCEEDED)
    (third,) = till.create(a_charge(reference=first.reference))
    assert isinstance(third, ReferenceInUse)


def test_references_of_two_producers_do_not_meet(till: Till) -> None:
    reference = a_charge().idempotency_key
    answers = till.create(
        a_charge(reference=reference), a_charge(reference=reference, producer="others")
    )
    assert all(is_claimed(a) for a in answers)


def test_within_one_batch_a_reference_is_given_once(till: Till) -> None:
    reference = a_charge().idempotency_key
    answers = till.accept(*(a_charge(reference=reference) for _ in range(3)))
    assert sorted(type(a).__name__ for a in answers) == ["Accepted"] + ["ReferenceInUse"] * 2


def test_partial_refunds_raced_against_one_charge_never_exceed_it(till: Till) -> None:
    charge_id = till.charged(amount=1000)
    answers = at_once(10, lambda _: till.create(a_refund(charge_id, amount=300)))
    claimed = [a for (a,) in answers if isinstance(a, Claimed)]
    refused = [a for (a,) in answers if isinstance(a, RefundExceedsCharge)]
    assert (len(claimed), len(refused)) == (3, 7)
    assert till.row(charge_id)["refund_reserved"] == 900
    assert {one.facts["available"] for one in refused} == {100}
    at_once(3, lambda n: till.settle(claimed[n], SUCCEEDED))
    assert till.row(charge_id)["refunded_amount"] == 900
