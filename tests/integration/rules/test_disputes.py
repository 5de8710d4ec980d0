"""Disputes: what processors tell of them, what we keep, and whom it concerns."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.access.scopes import Access
from payments.audit.promises import SETS
from payments.audit.telling import EVENTS_TELL
from payments.disputes import lookup
from payments.payment_errors import InvalidRequest, NotFound
from payments.processors.outcomes import Disputed, Fees, Succeeded
from payments.processors.port import ProcessorEvent
from payments.webhooks import endpoints
from payments.webhooks.target import TargetCheck
from tests.integration.rules.test_executor import Shop
from tests.support.every import every
from tests.support.factories import Till, a_charge, a_refund
from tests.support.vault import VAULT
from tests.support.webhooks import LOOPBACK

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def told(charge_id: str, state: Any = "needs_response", **changes: Any) -> ProcessorEvent:
    """What the processor tells of a dispute of this charge."""
    fields: dict[str, Any] = {
        "reference": f"dp_of_{charge_id}",
        "state": state,
        "amount": 1000,
        "currency": "USD",
        "reason": "fraudulent",
        "told_at": NOON,
    }
    return ProcessorEvent(charge_id, "dispute", Disputed(**fields | changes))


def later(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


def of(till: Till, charge_id: str) -> dict[str, Any]:
    (row,) = till.query("SELECT * FROM disputes WHERE charge_id = :id", id=charge_id)
    return dict(row)


def disputed(till: Till, charge_id: str) -> int:
    amount: int = till.row(charge_id)["disputed_amount"]
    return amount


def test_a_dispute_is_kept_and_told_to_whose_charge_it_is(till: Till) -> None:
    id_ = till.charged()
    assert till.report_all(told(id_, respond_by=later(24))) == 1
    row = of(till, id_)
    assert (row["state"], row["amount"], row["respond_by"]) == ("needs_response", 1000, later(24))
    assert (row["producer"], row["closed_at"]) == ("tests", None)
    assert till.events(row["id"]) == ["dispute.opened"]
    assert disputed(till, id_) == 1000


def test_the_same_report_again_changes_nothing(till: Till) -> None:
    id_ = till.charged()
    assert till.report_all(told(id_)) == 1
    assert till.report_all(told(id_), told(id_)) == 0
    assert till.events(of(till, id_)["id"]) == ["dispute.opened"]


@every(
    "states, events, counted",
    [
        (["under_review"], ["updated"], 1000),
        (["won"], ["closed"], 0),
        (["under_review", "lost"], ["updated", "closed"], 1000),
    ],
)
def test_a_dispute_goes_on_until_it_is_over(
    till: Till, states: list[str], events: list[str], counted: int
) -> None:
    id_ = till.charged()
    till.report_all(told(id_))
    for hours, state in enumerate(states, start=1):
        till.report_all(told(id_, state, told_at=later(hours)))
    row = of(till, id_)
    assert till.events(row["id"]) == ["dispute.opened", *(f"dispute.{one}" for one in events)]
    assert disputed(till, id_) == counted
    assert (row["closed_at"] is not None) == (events[-1] == "closed")


def test_reports_come_in_any_order(till: Till) -> None:
    id_ = till.charged()
    till.report_all(told(id_, "under_review", told_at=later(1)))
    assert till.report_all(told(id_)) == 0
    assert of(till, id_)["state"] == "under_review"


def test_what_is_over_stays_so(till: Till) -> None:
    id_ = till.charged()
    till.report_all(told(id_, "won"))
    assert till.report_all(told(id_, "needs_response", told_at=later(1))) == 0
    assert till.events(of(till, id_)["id"]) == ["dispute.opened", "dispute.closed"]


def test_an_inquiry_takes_no_money_until_it_becomes_a_dispute(till: Till) -> None:
    id_ = till.charged()
    till.report_all(told(id_, "warning_needs_response"))
    assert disputed(till, id_) == 0
    till.report_all(told(id_, "warning_closed", told_at=later(1)))
    till.report_all(told(id_, "needs_response", told_at=later(2)))
    assert disputed(till, id_) == 1000
    row = of(till, id_)
    assert (row["state"], row["closed_at"]) == ("needs_response", None)


def test_a_processor_is_believed_about_its_own_charges_only(till: Till) -> None:
    id_ = till.charged()
    assert till.report_all(told(id_), by="elsewhere") == 0
    assert till.report_all(told("ch_" + "a" * 32)) == 0
    assert till.query("SELECT * FROM disputes WHERE charge_id = :id", id=id_) == []


def test_disputes_are_listed_newest_first_for_whose_charges_they_are(till: Till) -> None:
    ids = [till.charged(producer="contested") for _ in range(3)]
    for id_ in ids:
        till.report_all(told(id_))
    access = Access("contested", frozenset())
    with till.engine.connect() as connection:
        first = lookup.page(connection, limit=2, access=access)
        rest = lookup.page(connection, limit=2, access=access, cursor=first.next_cursor)
        assert [row.charge_id for row in [*first.rows, *rest.rows]] == ids[::-1]
        assert rest.next_cursor is None
        (one,) = lookup.page(connection, filters={"charge_id": ids[0]}).rows
        assert lookup.get(connection, one.id, access=access).charge_id == ids[0]
        with pytest.raises(NotFound):
            lookup.get(connection, one.id, access=Access("somebody", frozenset()))
        with pytest.raises(InvalidRequest):
            lookup.page(connection, filters={"state": "pending"})


@every("state, warnings", [("needs_response", ["charge_disputed"]), ("won", [])])
def test_a_refund_of_what_is_disputed_warns(till: Till, state: str, warnings: list[str]) -> None:
    id_ = till.charged()
    till.report_all(told(id_, state))
    refund = a_refund(id_)
    till.accept(refund)
    assert till.row(refund.id)["warnings"] == warnings


# --- What the processor keeps ---


def test_what_is_kept_of_a_charge_is_told_with_its_success(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Succeeded("sbx_1", fees=Fees(59, 941, "USD")))
    row = till.row(claimed.id)
    assert (row["fee"], row["net"], row["settlement_currency"]) == (59, 941, "USD")


def test_or_later_once(till: Till) -> None:
    id_ = till.charged()
    assert till.report(id_, Succeeded("sbx_1", fees=Fees(59, 941, "EUR"))) == 1
    assert till.report(id_, Succeeded("sbx_1", fees=Fees(60, 940, "EUR"))) == 0
    row = till.row(id_)
    assert (row["fee"], row["net"], row["settlement_currency"]) == (59, 941, "EUR")
    assert till.events(id_) == ["charge.succeeded", "charge.updated"]


def test_what_becomes_known_later_is_told_with_the_whole_charge(till: Till) -> None:
    id_ = till.charged()
    # Twice in one transaction, and in another order: known is known.
    fees = Succeeded(f"sbx_{id_}", fees=Fees(59, 941, "EUR"))
    reports = [ProcessorEvent(id_, "charge", one) for one in (fees, Succeeded(f"sbx_{id_}"), fees)]
    assert till.report_all(*reports) == 1
    last = bodies(till, id_)[-1]
    assert (last["type"], last["sequence"]) == ("charge.updated", 2)
    shown = {name: last["data"][name] for name in ("state", "fee", "net", "settlement_currency")}
    assert shown == {"state": "succeeded", "fee": 59, "net": 941, "settlement_currency": "EUR"}
    assert till.row(id_)["sequence"] == 2


def test_what_is_known_at_once_is_told_once(till: Till) -> None:
    claimed = till.claim(a_charge())
    till.settle(claimed, Succeeded("sbx_1", fees=Fees(59, 941, "USD")))
    assert till.report(claimed.id, Succeeded("sbx_1", fees=Fees(59, 941, "USD"))) == 0
    assert till.events(claimed.id) == ["charge.succeeded"]


def test_an_endpoint_is_told_of_updates_if_it_asks_for_them(till: Till) -> None:
    def endpoint(*types: str) -> str:
        url, check = "http://127.0.0.1:9/hooks", TargetCheck(LOOPBACK)
        with till.database.transaction() as transaction:
            row, _ = endpoints.add(
                transaction, url=url, event_types=types, target_check=check, vault=VAULT
            )
        return row.id

    unfiltered, asking = endpoint(), endpoint("charge.updated")
    id_ = till.charged()
    till.report(id_, Succeeded(f"sbx_{id_}", fees=Fees(59, 941, "EUR")))
    sent = till.query(
        "SELECT d.endpoint_id, e.type FROM deliveries d JOIN events e ON e.id = d.event_id"
        " WHERE e.object_id = :id AND d.endpoint_id = ANY(:to) ORDER BY e.sequence",
        id=id_,
        to=[unfiltered, asking],
    )
    told = [(row["endpoint_id"], row["type"]) for row in sent]
    with till.database.transaction() as transaction:
        for one in (unfiltered, asking):
            endpoints.delete(transaction, one)
    assert told == [(unfiltered, "charge.succeeded"), (asking, "charge.updated")]


def test_events_tell_the_truth_when_more_becomes_known(till: Till) -> None:
    ids = [till.charged() for _ in range(2)]
    till.report(ids[0], Succeeded(f"sbx_{ids[0]}", fees=Fees(59, 941, "EUR")))
    assert lies(till, ids) == []
    till.put("UPDATE events SET type = 'charge.updated' WHERE object_id = :id", id=ids[1])
    assert lies(till, ids) == [ids[1]]


def bodies(till: Till, id_: str) -> list[dict[str, Any]]:
    rows = till.query("SELECT body FROM events WHERE object_id = :id ORDER BY sequence", id=id_)
    return [json.loads(row["body"]) for row in rows]


def lies(till: Till, ids: Sequence[str]) -> list[str]:
    """Those of these charges whose events tell another story, as `billing verify` finds it."""
    found = f"WITH {SETS} SELECT id FROM ({EVENTS_TELL.broken_by}) AS broken WHERE id = ANY(:ids)"
    return [row["id"] for row in till.query(found, ids=ids)]


# --- With the sandbox ---


@pytest.fixture
def shop(shared_engine: Any) -> Shop:
    return Shop(shared_engine)


def hear(shop: Shop, request: Any) -> dict[str, Any]:
    """The charge after all that the sandbox has to tell of it."""
    shop.go(request)
    for _ in range(3):
        shop.time_passes(timedelta(seconds=3), request.id)
        pulled = shop.processor.pull_events(100)
        events = [shop.processor.read_event(*one) for one in pulled]
        shop.till.report_all(*(event for event in events if event.object_id == request.id))
    return shop.till.row(request.id)


@every(
    "method, state, counted",
    [
        ("pm_sandbox_disputed", "needs_response", 1000),
        ("pm_sandbox_dispute_won", "won", 0),
        ("pm_sandbox_dispute_lost", "lost", 1000),
        ("pm_sandbox_inquiry", "warning_closed", 0),
    ],
)
def test_the_sandbox_contests_charges(shop: Shop, method: str, state: str, counted: int) -> None:
    request = a_charge(payment_method_id=method)
    row = hear(shop, request)
    assert (row["state"], row["disputed_amount"]) == ("succeeded", counted)
    assert of(shop.till, request.id)["state"] == state


@every("method", ["pm_sandbox_fees", "pm_sandbox_fees_later"])
def test_the_sandbox_tells_what_it_keeps(shop: Shop, method: str) -> None:
    row = hear(shop, a_charge(payment_method_id=method))
    assert (row["fee"], row["net"], row["settlement_currency"]) == (59, 941, "USD")
