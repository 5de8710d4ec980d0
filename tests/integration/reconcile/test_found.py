"""What differs is found, and nothing else; what is surely safe is repaired."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.reconcile import PERIOD, by_code, fill, plant, with_fees
from benchmarks.stripe_books import hand_over
from payments.processors.port import Record
from payments.processors.sandbox import Sandbox
from service import wiring
from tests.support.command import Billing
from tests.support.counter import Counter
from tests.support.reconciling import AtStripe, Replace, an_hour_passes, codes, lately, reconciled

RECORDS = 5_000
OF_STRIPE = 1_500


def test_every_planted_difference_is_found_and_no_other(
    billing: Billing, engine: Engine, processor: Replace
) -> None:
    with engine.begin() as connection:
        fill(connection, RECORDS)
        planted = plant(connection, RECORDS, 50)
    processor(with_fees(frozenset(planted["fee_differs"])))
    found, total = reconciled(billing, *PERIOD)
    assert by_code(found) == planted
    assert {code: len(ids) for code, ids in planted.items()} == {
        code: count for code, count in total["by_code"].items() if count
    }
    assert (total["pending"], total["undecided"]) == (0, 0)
    mended, total = reconciled(billing, *PERIOD, "--apply")
    assert by_code(mended) == planted
    repaired = {one["id"] for one in mended if one["repaired"]}
    assert repaired == {one["id"] for one in found if one["can_be_repaired"]}
    assert 0 < len(repaired) == total["repaired"] < 50
    left, total = reconciled(billing, *PERIOD)
    assert by_code(left) == {**planted, "state_differs": planted["state_differs"] - repaired}
    assert total["repaired"] == 0


def test_every_difference_that_is_planted_at_stripe_is_found_and_no_other(
    at_stripe: AtStripe, engine: Engine, tmp_path: Path
) -> None:
    journal = tmp_path / "stripe.jsonl"
    with engine.begin() as connection:
        fill(connection, OF_STRIPE)
        planted = plant(connection, OF_STRIPE, 50)
        hand_over(connection, journal, wrong_fees=planted["fee_differs"])
    with at_stripe(journal=journal) as (door, billing):
        found, total = reconciled(billing, *PERIOD)
        assert by_code(found) == planted
        assert (total["pending"], total["undecided"]) == (0, 0)
        mended, _ = reconciled(billing, *PERIOD, "--apply")
        repaired = {one["id"] for one in mended if one["repaired"]}
        assert repaired == {one["id"] for one in found if one["can_be_repaired"]}
        left, _ = reconciled(billing, *PERIOD)
        assert by_code(left) == {**planted, "state_differs": planted["state_differs"] - repaired}
        # Nothing was asked of it but its books, and nothing has moved.
        assert {one["path"] for one in door.requests()} == {"/v1/balance_transactions"}
        assert door.movements() == []


def test_a_day_of_everything_agrees(billing: Billing, engine: Engine, till: Counter) -> None:
    paid = till.charge()
    till.refund(paid["id"], amount=300)
    till.charge(payment_method_id="pm_card_chargeDeclined")
    till.charge(payment_method_id="pm_sandbox_requires_action")
    bad = till.charge(payment_method_id="pm_sandbox_refund_fails_later")
    till.refund(bad["id"])
    till.query("UPDATE sandbox_requests SET turns_at = now() WHERE turns_at IS NOT NULL")
    till.hear_reports()
    an_hour_passes(engine)
    found, total = reconciled(billing)
    assert (found, total["pending"]) == ([], 1)
    assert (total["agree"], total["records"]) == (4, 5)


def test_what_is_captured_is_held_against_all_that_was_captured(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    parts, whole = (till.charge(capture="manual")["id"] for _ in range(2))
    till.capture(parts, amount=300, final=False)
    till.capture(whole, amount=300, final=False)
    till.capture(whole, amount=200)
    till.charge(capture="manual")
    an_hour_passes(engine)
    found, total = reconciled(billing)
    assert (found, total["agree"], total["pending"]) == ([], 2, 1)
    till.query("UPDATE sandbox_ledger SET amount = amount + 1")
    found, total = reconciled(billing, *lately(), "--apply")
    assert {one["id"]: one["code"] for one in found} == {
        parts: "state_differs",
        whole: "amount_differs",
    }
    assert total["repaired"] == 0


def test_what_was_captured_before_the_period_is_not_missed(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    for days in (3, 8):  # within what is read for the sake of what ends in the period, and before
        charge = till.charge(capture="manual")["id"]
        till.capture(charge, amount=300, final=False)
        ago = {"id": charge, "days": days}
        past = "= now() - make_interval(days => :days)"
        till.query(f"UPDATE charges SET authorized_at {past} WHERE id = :id", **ago)
        till.query(f"UPDATE sandbox_ledger SET moved_at {past} WHERE charge_id = :id", **ago)
        till.capture(charge, amount=200)
    an_hour_passes(engine)
    found, total = reconciled(billing)
    assert (found, total["agree"]) == ([], 2)


def test_what_happens_right_now_is_pending(billing: Billing, till: Counter) -> None:
    till.charge(payment_method_id="pm_sandbox_timeout_after")
    done = till.charge()
    till.query("DELETE FROM sandbox_ledger WHERE object_id = :id", id=done["id"])
    found, total = reconciled(billing)
    assert (found, total["pending"]) == ([], 2)


def test_a_record_without_our_id_is_found_by_its_reference(
    billing: Billing, engine: Engine, till: Counter, processor: Replace
) -> None:
    charge = till.charge()
    till.refund(charge["id"], amount=1)
    till.charge()
    an_hour_passes(engine)

    class Nameless(Sandbox):
        def records(self, *period: datetime, after: str | None = None) -> Iterator[Record]:
            for line in super().records(*period, after=after):
                stranger = "ch_stranger" if line.kind == "charge" else None
                yield replace(line, object_id=stranger)

    processor(lambda settings: Nameless(wiring.open_sandbox(settings.database_url)))
    found, total = reconciled(billing)
    assert (found, total["agree"]) == ([], 3)


def test_records_behind_which_no_payment_is_are_counted(
    billing: Billing, engine: Engine, till: Counter, processor: Replace
) -> None:
    till.charge()
    an_hour_passes(engine)

    class Busy(Sandbox):
        def records(self, *period: datetime, after: str | None = None) -> Iterator[Record]:
            for line in super().records(*period, after=after):
                yield line
                yield line  # pages may overlap
                for kind in ("payout", "fee", "dispute"):
                    yield replace(line, id=kind, kind=kind, object_id=None)  # type: ignore[arg-type]

    processor(lambda settings: Busy(wiring.open_sandbox(settings.database_url)))
    found, total = reconciled(billing)
    assert (found, total["compared"]) == ([], 1)
    assert total["other_records"] == {"dispute": 1, "fee": 1, "payout": 1}


def test_a_repair_is_a_report_and_moves_no_money(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    lost = till.charge(payment_method_id="pm_sandbox_timeout_after")["id"]
    paid = till.charge(payment_method_id="pm_sandbox_refund_fails_later")["id"]
    refund = till.refund(paid)["id"]
    till.query("UPDATE charges SET phase = 'needs_review' WHERE id = :id", id=lost)
    till.query("UPDATE sandbox_requests SET turns_at = now() WHERE turns_at IS NOT NULL")
    till.sandbox.pull_events(100)  # and nobody hears of it
    an_hour_passes(engine)
    ledger = till.query("SELECT * FROM sandbox_ledger ORDER BY id")
    calls = till.query("SELECT sum(calls) AS calls FROM sandbox_requests")

    found, _ = reconciled(billing)
    assert {one["id"]: one["code"] for one in found} == dict.fromkeys(
        (lost, refund), "state_differs"
    )
    assert all(one["advice"].startswith("--apply") for one in found)
    found, total = reconciled(billing, *lately(), "--apply")
    assert [one["repaired"] for one in found] == [True, True]
    assert total["repaired"] == 2

    (charge,) = till.query("SELECT * FROM charges WHERE id = :id", id=lost)
    (returned,) = till.query("SELECT * FROM refunds WHERE id = :id", id=refund)
    assert (charge["state"], returned["state"]) == ("succeeded", "failed")
    (kept,) = till.query("SELECT refund_reserved FROM charges WHERE id = :id", id=paid)
    assert kept["refund_reserved"] == 0
    for id_, event in ((lost, "charge.succeeded"), (refund, "refund.failed")):
        *_, attempt = till.query(
            "SELECT verb, worker FROM attempts WHERE object_id = :id ORDER BY number", id=id_
        )
        assert attempt == {"verb": "report", "worker": "sandbox"}
        events = "SELECT type FROM events WHERE object_id = :id ORDER BY sequence DESC LIMIT 1"
        assert till.query(events, id=id_) == [{"type": event}]
    assert till.query("SELECT * FROM sandbox_ledger ORDER BY id") == ledger
    assert till.query("SELECT sum(calls) AS calls FROM sandbox_requests") == calls
    assert reconciled(billing)[0] == []


def test_what_is_not_surely_safe_is_left_with_the_reason(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    ids = [till.charge()["id"] for _ in range(3)]
    till.query("DELETE FROM sandbox_ledger WHERE object_id = :id", id=ids[0])
    till.query("UPDATE sandbox_ledger SET amount = 5 WHERE object_id = :id", id=ids[1])
    till.query(
        "UPDATE charges SET state = 'failed', failure_code = 'resolved_failed' WHERE id = :id",
        id=ids[2],
    )
    an_hour_passes(engine)
    before = till.query("SELECT * FROM charges ORDER BY id")
    found, total = reconciled(billing, *lately(), "--apply")
    assert codes(found) == ["amount_differs", "only_ours", "state_differs"]
    assert total["repaired"] == 0
    assert all(one["advice"] and not one["can_be_repaired"] for one in found)
    assert till.query("SELECT * FROM charges ORDER BY id") == before


def test_what_was_charged_in_the_other_mode_is_not_among_the_records(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    ids = [till.charge()["id"] for _ in range(2)]
    till.query("DELETE FROM sandbox_ledger")
    till.query("UPDATE charges SET livemode = true WHERE id = :id", id=ids[0])
    an_hour_passes(engine)
    found, _ = reconciled(billing)
    assert [(one["code"], one["id"]) for one in found] == [("only_ours", ids[1])]
