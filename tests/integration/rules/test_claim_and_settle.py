"""Claim, call, settle, on real rows: what a worker may do, and what a dead or late one leaves."""

import json
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from payments.lifecycle.claims import Claimed, NotDue
from payments.lifecycle.database_steps import Begin
from payments.payment_errors import NotFound as NoSuchObject
from payments.processors.advice import STOP
from payments.processors.outcomes import (
    Declined,
    Found,
    NotFound,
    Pending,
    Succeeded,
    Unavailable,
    Unknown,
)
from tests.support.factories import (
    SUCCEEDED,
    TIMEOUT,
    Till,
    a_charge,
    a_key,
    a_lease,
    a_refund,
    is_claimed,
    kind,
)
from tests.support.threads import at_once
from tests.support.waiting import patience_s

MINUTE = timedelta(minutes=1)
DECLINED = Declined("insufficient_funds", "51", "The card has insufficient funds.")
BUSY = Unavailable("service_unavailable")
WAITING = Pending("sbx_1", "requires_action")


def test_a_charge_goes_from_asked_to_succeeded(till: Till) -> None:
    request = a_charge(metadata={"order": "größe"}, customer_id="cus_1")
    claimed = till.claim(request)
    assert not claimed.in_doubt
    assert (claimed.order.id, claimed.order.amount) == (request.id, 1000)
    row = till.settle(claimed, Succeeded("sbx_77"))
    assert (row["state"], row["phase"], row["lease_token"]) == ("succeeded", None, None)
    assert row["processor_reference"] == "sbx_77"
    assert row["settled_at"] is not None
    assert till.attempts(request.id) == [("charge", "succeeded")]


def test_a_declined_charge_says_why(till: Till) -> None:
    row = till.settle(till.claim(a_charge()), DECLINED)
    assert (row["state"], row["failure_code"], row["processor_code"]) == (
        "failed", "insufficient_funds", "51",
    )  # fmt: skip
    assert till.events(row["id"]) == ["charge.failed"]


def test_a_failed_charge_says_what_to_do_about_it_and_when(till: Till) -> None:
    """By our policy, unless the processor knows better; and receivers are told."""
    row = till.settle(till.claim(a_charge()), DECLINED)
    assert row["failure_advice"] == "retry_later"
    assert row["retry_at"] - row["settled_at"] == timedelta(days=1)
    (event,) = till.query("SELECT body FROM events WHERE object_id = :id", id=row["id"])
    assert json.loads(event["body"])["data"]["failure_advice"] == "retry_later"
    stopped = till.settle(till.claim(a_charge()), replace(DECLINED, advised=STOP))
    assert (stopped["failure_advice"], stopped["retry_at"]) == ("stop", None)
    paid = till.settle(till.claim(a_charge()), SUCCEEDED)
    assert (paid["failure_advice"], paid["retry_at"]) == (None, None)


def test_a_refused_call_is_made_again_later_with_the_same_key(till: Till) -> None:
    first = till.claim(a_charge())
    row = till.settle(first, BUSY)
    assert (row["state"], row["phase"]) == ("pending", "queued")
    assert till.events(row["id"]) == []
    (early,) = till.submit(row["id"])
    assert isinstance(early, NotDue)
    till.time_passes(MINUTE, row["id"])
    second = till.claim(row["id"])
    assert not second.in_doubt
    assert second.order.key == first.order.key
    till.settle(second, SUCCEEDED)
    assert till.attempts(row["id"]) == [("charge", "unavailable"), ("charge", "succeeded")]


def test_a_timeout_is_not_a_failure_but_looked_up(till: Till) -> None:
    row = till.settle(till.claim(a_charge()), TIMEOUT)
    assert (row["state"], row["phase"], row["failure_code"]) == ("pending", "unknown", None)
    till.time_passes(MINUTE, row["id"])
    asking = till.claim(row["id"])
    assert asking.in_doubt
    till.settle(asking, SUCCEEDED)
    assert till.attempts(row["id"]) == [("charge", "unknown"), ("look_up", "succeeded")]


def test_a_charge_that_waits_for_the_customer_is_looked_up_now_and_then(till: Till) -> None:
    row = till.settle(till.claim(a_charge()), WAITING)
    assert row["phase"] == "awaiting_customer"
    for _ in range(3):
        till.time_passes(2 * MINUTE, row["id"])
        asking = till.claim(row["id"])
        assert asking.in_doubt
        assert asking.order.reference == "sbx_1"
        till.settle(asking, WAITING)
    till.time_passes(timedelta(hours=1), row["id"])
    assert till.settle(till.claim(row["id"]), SUCCEEDED)["state"] == "succeeded"
    assert till.events(row["id"]) == [
        "charge.requires_action", "charge.succeeded",
    ]  # fmt: skip


def test_a_list_of_items_is_claimed_and_settled_each_in_its_place(till: Till) -> None:
    requests = [a_charge(amount=n) for n in range(1, 6)]
    claimed = till.create(*requests)
    assert [c.row.amount for c in claimed] == [1, 2, 3, 4, 5]
    answers: list[Found] = [SUCCEEDED, DECLINED, BUSY, TIMEOUT, WAITING]
    items = [(c, "charge", found) for c, found in zip(claimed, answers, strict=True)]
    rows = till.settle_all(*reversed(items))
    assert [row.id for row in rows] == [r.id for r in reversed(requests)]
    assert [till.stand(r.id) for r in requests] == [
        "succeeded", "failed", "queued", "unknown", "awaiting_customer",
    ]  # fmt: skip


def test_an_id_that_nobody_has_is_answered_and_holds_up_nobody(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    missing, there = till.submit("ch_nobody", request.id)
    assert isinstance(missing, NoSuchObject)
    assert isinstance(there, Claimed)


def test_of_two_that_want_the_same_row_in_one_batch_one_gets_it(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    first, second = till.submit(request.id, request.id)
    assert isinstance(first, Claimed)
    assert isinstance(second, NotDue)


def test_of_many_that_want_the_same_row_at_once_one_gets_it(till: Till) -> None:
    requests = [a_charge() for _ in range(5)]
    till.accept(*requests)
    answers = at_once(10, lambda _: till.submit(*(r.id for r in requests)))
    for place in range(5):
        assert sum(is_claimed(batch[place]) for batch in answers) == 1


def test_a_second_worker_finds_the_charge_taken(till: Till) -> None:
    claimed = till.claim(a_charge())
    (second,) = till.submit(claimed.id)
    assert isinstance(second, NotDue)
    assert second.row.lease_token == claimed.token


@pytest.mark.parametrize("found", [SUCCEEDED, DECLINED])
def test_a_final_charge_is_left_alone(till: Till, found: Found) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, found)
    before = till.row(claimed.id)
    (again,) = till.submit(claimed.id)
    assert isinstance(again, NotDue)
    till.settle(claimed, SUCCEEDED)
    till.sweep()
    assert till.row(claimed.id) == before


# --- a commit whose answer got lost: the batch is run again ---


def test_a_claim_can_be_repeated_with_its_own_token(till: Till) -> None:
    item = till.begin_of(a_charge())
    (first,) = till.begin(item)
    (again,) = till.begin(item)
    assert isinstance(first, Claimed)
    assert isinstance(again, Claimed)
    assert again.token == first.token
    assert not again.in_doubt
    assert again.row.attempts == 1
    assert till.events(first.id) == []


def test_a_claim_by_id_that_is_repeated_is_one_attempt_with_a_new_end(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    item = Begin(a_lease(), kind=kind(request.id), id=request.id)
    (first,) = till.begin(item)
    assert isinstance(first, Claimed)
    till.time_passes(timedelta(seconds=10), request.id)
    (again,) = till.begin(item)
    assert isinstance(again, Claimed)
    assert again.token == first.token
    assert (first.row.attempts, again.row.attempts) == (1, 1)
    assert again.row.lease_expires_at > first.row.lease_expires_at
    # The same of one that was claimed as it was accepted.
    new = till.begin_of(a_charge())
    (made,) = till.begin(new)
    assert isinstance(made, Claimed)
    (claimed,) = till.begin(Begin(new.lease, kind=made.kind, id=made.id))
    assert isinstance(claimed, Claimed)
    assert claimed.row.attempts == 1


def test_a_refund_that_is_claimed_again_under_its_token_is_one_attempt(till: Till) -> None:
    refund = a_refund(till.charged())
    item = till.begin_of(refund)
    (first,) = till.begin(item)
    (again,) = till.begin(Begin(item.lease, kind=kind(refund.id), id=refund.id))
    assert isinstance(first, Claimed)
    assert isinstance(again, Claimed)
    assert again.row.attempts == 1


def test_the_processors_own_id_outlives_every_later_move(till: Till) -> None:
    """Without it a refund could not name its charge, nor a look-up what it asks about."""
    for found in (Unavailable("busy"), TIMEOUT, WAITING, DECLINED, NotFound()):
        claimed = till.claim(a_charge())
        till.settle(claimed, Pending("sbx_first", "processing"))
        for _ in range(3):
            if till.row(claimed.id)["state"] != "pending":
                break
            till.time_passes(timedelta(hours=2), claimed.id)
            asking = till.claim(claimed.id)
            assert asking.order.reference == "sbx_first"
            later = Pending("sbx_first", "processing") if found is WAITING else found
            till.settle(asking, later)
        assert till.row(claimed.id)["processor_reference"] == "sbx_first"


def test_a_refund_names_its_charge_by_the_processors_id_whatever_came_between(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Pending("sbx_first", "processing"))
    till.time_passes(MINUTE, claimed.id)
    till.claim(claimed.id)  # and dies
    till.time_passes(MINUTE, claimed.id)
    till.sweep()
    till.time_passes(timedelta(days=2), claimed.id)
    till.settle(till.claim(claimed.id), TIMEOUT)
    till.time_passes(timedelta(days=2), claimed.id)
    till.settle(till.claim(claimed.id), Succeeded("sbx_first"))
    refund = till.claim(a_refund(claimed.id, amount=1))
    assert refund.order.charge_reference == "sbx_first"
    till.settle(refund, Pending("sbx_refund", "processing"))
    till.time_passes(MINUTE, refund.id)
    till.settle(till.claim(refund.id), TIMEOUT)
    assert till.row(refund.id)["processor_reference"] == "sbx_refund"
    # The bank returns it: a move that brings no id of its own.
    till.report(refund.id, Succeeded("sbx_refund"))
    till.report(refund.id, Declined("refund_failed", "returned", "The bank returned it."))
    assert till.row(refund.id)["processor_reference"] == "sbx_refund"
    assert till.stand(refund.id) == "failed"


def test_a_settlement_can_be_repeated(till: Till) -> None:
    for found in (SUCCEEDED, DECLINED, BUSY, TIMEOUT, WAITING):
        claimed = till.claim(a_charge())
        once = till.settle(claimed, found)
        row, events = till.row(claimed.id), till.events(claimed.id)
        assert till.settle(claimed, found)["state"] == once["state"]
        assert (till.row(claimed.id), till.events(claimed.id)) == (row, events)
        assert len(till.attempts(claimed.id)) == 1


# --- a worker that dies, and one that comes back from the dead ---


def test_a_worker_that_dies_leaves_an_unknown_outcome_that_is_looked_up_at_once(till: Till) -> None:
    claimed = till.claim(a_charge())
    assert claimed.id not in till.sweep().charges
    till.time_passes(MINUTE, claimed.id)
    assert claimed.id in till.sweep().charges
    row = till.row(claimed.id)
    assert (row["phase"], row["lease_token"]) == ("unknown", None)
    asking = till.claim(claimed.id)
    assert asking.in_doubt
    till.settle(asking, SUCCEEDED)
    assert till.attempts(claimed.id) == [("charge", "lease_expired"), ("look_up", "succeeded")]


def test_a_worker_that_dies_while_it_looks_up_changes_nothing(till: Till) -> None:
    for found, phase in ((TIMEOUT, "unknown"), (WAITING, "awaiting_customer")):
        claimed = till.claim(a_charge())
        till.settle(claimed, found)
        till.time_passes(MINUTE, claimed.id)
        till.claim(claimed.id)
        till.time_passes(MINUTE, claimed.id)
        assert claimed.id in till.sweep().charges
        assert till.stand(claimed.id) == phase
        assert till.claim(claimed.id).in_doubt


def test_pauses_begin_anew_after_a_worker_that_died(till: Till) -> None:
    """That a worker died says nothing about the processor, which had been slow before."""
    for found, phase in ((TIMEOUT, "unknown"), (WAITING, "awaiting_customer")):
        claimed = till.claim(a_charge())
        till.settle(claimed, found)
        for _ in range(3):
            till.time_passes(timedelta(hours=2), claimed.id)
            till.settle(till.claim(claimed.id), found)
        assert till.row(claimed.id)["retries"] == 4
        till.time_passes(timedelta(hours=2), claimed.id)
        till.claim(claimed.id)  # and dies
        till.time_passes(MINUTE, claimed.id)
        till.sweep()
        row = till.row(claimed.id)
        assert (row["phase"], row["retries"]) == (phase, 0)
        till.settle(till.claim(claimed.id), found)
        row = till.row(claimed.id)
        pause = row["next_attempt_at"] - till.query("SELECT now()")[0]["now"]
        assert (row["retries"], pause < timedelta(seconds=10)) == (1, True)


@pytest.mark.parametrize("late", [SUCCEEDED, DECLINED, BUSY, TIMEOUT, WAITING])
def test_a_zombie_changes_nothing_once_its_lease_is_taken_over(till: Till, late: Found) -> None:
    zombie = till.claim(a_charge())
    till.time_passes(MINUTE, zombie.id)
    till.sweep()
    swept = till.row(zombie.id)
    till.settle(zombie, late)
    assert till.row(zombie.id) == swept
    second = till.claim(zombie.id)
    till.settle(zombie, late)
    assert till.row(zombie.id)["lease_token"] == second.token
    till.settle(second, SUCCEEDED)
    settled = till.row(zombie.id)
    assert till.settle(zombie, late)["state"] == "succeeded"
    assert till.row(zombie.id) == settled
    assert till.events(zombie.id) == ["charge.succeeded"]


def test_a_lease_that_ran_out_unnoticed_still_counts(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.time_passes(MINUTE, claimed.id)
    assert till.settle(claimed, SUCCEEDED)["state"] == "succeeded"


def test_of_a_settlement_and_the_sweep_at_once_one_wins_and_the_history_is_whole(
    till: Till,
) -> None:
    claims = [till.claim(a_charge()) for _ in range(10)]
    till.time_passes(MINUTE, *(c.id for c in claims))
    gate = Barrier(2)

    def settle(_: int) -> None:
        gate.wait(patience_s())
        till.settle_all(*((c, "charge", SUCCEEDED) for c in claims))

    def sweep(_: int) -> None:
        gate.wait(patience_s())
        till.sweep()

    at_once(2, lambda n: (settle if n else sweep)(n))
    for claimed in claims:
        assert till.stand(claimed.id) in ("succeeded", "unknown")
        assert len(till.attempts(claimed.id)) == 1


# --- wake-ups that get lost ---


def test_what_is_due_is_woken_again_until_somebody_comes(till: Till) -> None:
    request = a_charge()
    till.accept(request)
    assert request.id in till.wakes.charges
    assert request.id not in till.sweep().charges  # it was told just now
    for _ in range(3):
        till.time_passes(timedelta(seconds=11), request.id)
        assert request.id in till.sweep().charges
        assert request.id not in till.sweep().charges
    till.claim(request.id)
    till.time_passes(timedelta(seconds=11), request.id)
    assert request.id not in till.sweep().charges  # somebody works on it


def test_what_is_claimed_at_the_door_needs_no_waking(till: Till) -> None:
    request = a_charge()
    till.create(request)
    assert request.id not in till.wakes.charges


def test_sweepers_at_once_take_back_each_lease_once(till: Till) -> None:
    claims = [till.claim(a_charge()) for _ in range(20)]
    till.time_passes(MINUTE, *(c.id for c in claims))
    at_once(4, lambda _: till.sweep())
    assert all(till.attempts(c.id) == [("charge", "lease_expired")] for c in claims)


# --- the time in which the processor remembers the key ---


def test_what_the_processor_never_heard_of_ends_with_a_person(till: Till) -> None:
    row = till.settle(till.claim(a_charge()), TIMEOUT)
    till.time_passes(timedelta(days=1), row["id"])
    asking = till.claim(row["id"])
    assert not till.policy.may_resend(asking.row, asking.now)
    row = till.settle(asking, NotFound())
    assert (row["state"], row["phase"], row["next_attempt_at"]) == ("pending", "needs_review", None)
    assert till.events(row["id"]) == ["charge.needs_review"]
    till.time_passes(timedelta(days=30), row["id"])
    assert row["id"] not in till.sweep().charges
    (left_alone,) = till.submit(row["id"])
    assert isinstance(left_alone, NotDue)


def test_an_endpoint_is_woken_for_what_it_wants_to_hear(till: Till) -> None:
    wants, wants_not = f"we_{a_key()}", f"we_{a_key()}"
    with till.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO webhook_endpoints (id, url, secrets, event_types) VALUES"
            " (%s, 'http://x', '{whsec_x}', '{charge.failed}'),"
            " (%s, 'http://x', '{whsec_x}', '{refund.failed}')",
            (wants, wants_not),
        )
    row = till.settle(till.claim(a_charge()), DECLINED)
    assert wants in till.wakes.endpoints
    assert wants_not not in till.wakes.endpoints
    told = till.query(
        "SELECT endpoint_id FROM deliveries d JOIN events e ON e.id = d.event_id"
        " WHERE e.object_id = :id",
        id=row["id"],
    )
    endpoints = [one["endpoint_id"] for one in told]
    assert endpoints.count(wants) == 1
    assert wants_not not in endpoints


# --- Looking up without the processor's id ---


def test_a_look_up_knows_when_the_charge_was_sent_and_how_far_others_came(till: Till) -> None:
    id_ = till.settle(till.claim(a_charge()), TIMEOUT)["id"]
    till.time_passes(MINUTE, id_)
    first = till.claim(id_)
    (sent,) = till.query("SELECT started_at FROM attempts WHERE object_id = :id", id=id_)
    assert first.order.last_sent_at == sent["started_at"]
    assert first.order.looked_until is None
    seen = first.now - timedelta(hours=1)
    till.settle(first, Unknown("look_up_incomplete", looked_until=seen), verb="look_up")
    till.time_passes(MINUTE, id_)
    second = till.claim(id_)
    assert second.order.last_sent_at == first.order.last_sent_at
    assert second.order.looked_until == seen
    # One that says nothing of it takes nothing back.
    till.settle(second, TIMEOUT, verb="look_up")
    till.time_passes(MINUTE, id_)
    assert till.claim(id_).order.looked_until == seen


def test_an_attempt_that_was_not_settled_may_have_sent_it(till: Till) -> None:
    """It looks up, finds nothing, sends it again, and dies."""
    id_ = till.settle(till.claim(a_charge()), TIMEOUT)["id"]
    earlier = "UPDATE attempts SET started_at = started_at - interval '1 h' WHERE object_id = :id"
    till.put(earlier, id=id_)
    till.time_passes(MINUTE, id_)
    died = till.claim(id_)
    till.time_passes(MINUTE, id_)
    till.sweep()
    again = till.claim(id_)
    assert died.order.last_sent_at is not None
    assert again.order.last_sent_at is not None
    assert again.order.last_sent_at > died.order.last_sent_at
    assert till.attempts(id_)[-1] == ("look_up", "lease_expired")


def test_what_is_known_by_the_processors_id_needs_no_search(till: Till) -> None:
    id_ = till.settle(till.claim(a_charge()), Unknown("look_up_failed", "sbx_1"))["id"]
    till.time_passes(MINUTE, id_)
    order = till.claim(id_).order
    assert (order.reference, order.last_sent_at) == ("sbx_1", None)
