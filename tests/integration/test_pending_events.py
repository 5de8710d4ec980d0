"""That something was accepted is told only while an enabled endpoint asks for it by name; whether
it was told or not, what comes after is numbered from 1, and nothing is missing from the story."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.audit.invariants import OURS
from payments.audit.promises import Patience
from payments.audit.verify import check, is_sound, verify
from payments.history.timeline import timeline
from payments.lifecycle.accepting import charges, refunds
from payments.lifecycle.claims import Claimed
from payments.processors.outcomes import Succeeded
from payments.webhooks import endpoints, feed
from tests.support.acting import Database
from tests.support.every import every
from tests.support.factories import SUCCEEDED, Till, a_charge, a_refund, a_sale
from tests.support.sink import Sink
from tests.support.webhooks import a_deliverer, an_endpoint

HOOK = "http://127.0.0.1:9/hook"
BOTH = ["charge.pending", "refund.pending"]


@pytest.fixture
def till(engine: Engine) -> Till:
    return Till(engine)


def asks(till: Till, *types: str, url: str = HOOK, **fields: Any) -> str:
    """The id of an endpoint that asks for these types by name."""
    return an_endpoint(till.engine, url, event_types=types or BOTH, **fields).id


def asks_since_yesterday(till: Till, *types: str, url: str = HOOK) -> str:
    """One that asks for them for longer than `billing verify` excuses that it isn't told."""
    endpoint_id = asks(till, *types, url=url)
    earlier = "UPDATE webhook_endpoints SET subscribed_at = now() - interval '1 day' WHERE id = :id"
    till.put(earlier, id=endpoint_id)
    return endpoint_id


def accepted(till: Till, request: Any) -> tuple[int, list[str]]:
    """How many events a request is written with, and which."""
    (answer,) = till.accept(request)
    assert not isinstance(answer, Exception), answer
    return till.row(request.id)["sequence"], till.events(request.id)


def broken(till: Till) -> set[str]:
    """The promises that `billing verify` finds broken."""
    found = verify(till.engine, statements={})
    return {one.invariant.name for one in found if not is_sound([one])}


def test_nobody_asks_and_nothing_is_written(till: Till) -> None:
    charge = a_charge()
    assert accepted(till, charge) == (0, [])
    with till.engine.connect() as connection:
        assert feed.read(connection, after=0, limit=10) == []
        story = timeline(connection, charge.id, statements={})
    assert [entry.what for entry in story] == ["request", "now"]
    assert story[0].at == till.row(charge.id)["created_at"]
    assert "asked for by the producer 'tests' under the key" in story[0].text
    assert story[1].text.startswith("now queued, due at ")
    assert till.wakes.charges == {charge.id}  # it is carried out all the same
    assert broken(till) == set()


def test_the_end_is_then_the_first_that_is_told(till: Till) -> None:
    charge_id = till.charged()
    refund = till.claim(a_refund(charge_id))
    till.settle(refund, SUCCEEDED)
    for id_, type_ in ((charge_id, "charge.succeeded"), (refund.id, "refund.succeeded")):
        assert till.events(id_) == [type_]
        assert till.row(id_)["sequence"] == 1
    with till.engine.connect() as connection:
        told = [json.loads(row.body)["type"] for row in feed.read(connection, after=0, limit=10)]
    assert told == ["charge.succeeded", "refund.succeeded"]
    assert broken(till) == set()


def test_who_asks_by_name_is_told_first_of_all(till: Till, sink: Sink) -> None:
    endpoint_id = asks_since_yesterday(till, "charge.pending", "charge.succeeded", url=sink.url)
    charge = a_charge()
    assert accepted(till, charge) == (1, ["charge.pending"])
    with a_deliverer(till.engine) as deliverer:
        deliverer.drain(endpoint_id)
    told = sink.requests[0].json()
    assert (told["type"], told["sequence"]) == ("charge.pending", 1)
    assert (told["data"]["charge_id"], told["data"]["state"]) == (charge.id, "pending")
    till.settle(till.claim(charge.id), SUCCEEDED)
    with a_deliverer(till.engine) as deliverer:
        deliverer.drain(endpoint_id)
    assert [(one.json()["type"], one.json()["sequence"]) for one in sink.requests] == [
        ("charge.pending", 1), ("charge.succeeded", 2),
    ]  # fmt: skip
    assert till.row(charge.id)["sequence"] == 2
    assert broken(till) == set()


@every(
    "fields",
    [{"event_types": []}, {"event_types": ["charge.succeeded"]}, {"producer": "somebody.else"},
     {"state": "disabled"}, {"state": "deleted"}],
)  # fmt: skip
def test_who_does_not_ask_or_may_not_be_told_makes_no_difference(
    till: Till, fields: dict[str, Any]
) -> None:
    state = fields.pop("state", "enabled")
    endpoint = an_endpoint(till.engine, HOOK, **{"event_types": BOTH} | fields)
    with till.database.transaction() as transaction:
        if state == "disabled":
            endpoints.disable(transaction, endpoint.id)
        if state == "deleted":
            endpoints.delete(transaction, endpoint.id)
    charge = a_charge()
    assert accepted(till, charge) == (0, [])
    assert accepted(till, a_refund(charge)) == (0, [])


def test_an_endpoint_for_charges_asks_for_no_refunds(till: Till) -> None:
    asks(till, "charge.pending", producer="tests")
    charge = a_charge()
    assert accepted(till, charge) == (1, ["charge.pending"])
    assert accepted(till, a_refund(charge)) == (0, [])


def test_a_refund_is_told_to_whose_charge_it_gives_back(till: Till) -> None:
    """Also when somebody else asks for it, whose endpoint is then told nothing."""
    charge_id = till.charged(producer="shop")
    asks(till, producer="office")
    by_office = a_refund(charge_id, producer="office", amount=1)
    assert refunded_by_office(till, by_office) == []
    asks(till, producer="shop")
    again = a_refund(charge_id, producer="office", amount=1)
    assert refunded_by_office(till, again) == ["refund.pending"]
    assert accepted(till, a_refund(charge_id, producer="shop")) == (1, ["refund.pending"])
    assert broken(till) == set()


def test_a_refund_that_comes_before_a_charge_of_others_is_no_false_alarm(till: Till) -> None:
    """It becomes theirs when the charge comes; when it was accepted, they asked for nothing."""
    charge = a_charge(producer="shop")
    refund = a_refund(charge, producer="office", amount=1, if_missing="wait")
    endpoint_id = asks_since_yesterday(till)
    till.put("UPDATE webhook_endpoints SET producer = 'shop' WHERE id = :id", id=endpoint_id)
    assert refunded_by_office(till, refund) == []
    till.settle(till.create(charge)[0], SUCCEEDED)
    till.settle(till.claim(refund.id), SUCCEEDED)
    assert till.row(refund.id)["charge_producer"] == "shop"
    assert broken(till) == set()


def refunded_by_office(till: Till, request: Any) -> list[str]:
    with till.database.transaction() as transaction:
        refunds.accept(transaction, [refunds.NewRefund(request, "sandbox", any_charge=True)])
    return till.events(request.id)


def test_of_one_batch_those_are_told_that_somebody_asks_for(till: Till) -> None:
    asks(till, producer="shop")
    mine, other = a_charge(producer="shop"), a_charge(producer="somebody.else")
    till.accept(mine, other, mine)
    assert till.events(mine.id) == ["charge.pending"]
    assert till.events(other.id) == []
    assert [till.row(one.id)["sequence"] for one in (mine, other)] == [1, 0]
    till.accept(mine, other)  # a repeat tells nothing
    assert [len(till.events(one.id)) for one in (mine, other)] == [1, 0]


def scheduled(till: Till) -> ChargeRequest:
    return a_charge(scheduled_at=datetime.now(UTC) + timedelta(days=1))


def by_price(till: Till) -> ChargeRequest:
    return a_sale(till.price(stock=5), 2)


@pytest.mark.parametrize("is_asked", [False, True])
@pytest.mark.parametrize("made", [scheduled, by_price])
def test_every_way_to_charge_is_told_alike(till: Till, made: Any, is_asked: bool) -> None:
    if is_asked:
        asks_since_yesterday(till)
    told = ["charge.pending"] * is_asked
    assert accepted(till, made(till)) == (len(told), told)
    assert broken(till) == set()


@pytest.mark.parametrize("is_asked", [False, True])
def test_what_is_claimed_as_it_is_accepted_is_told_alike(till: Till, is_asked: bool) -> None:
    if is_asked:
        asks_since_yesterday(till)
    (claimed,) = till.create(a_charge())
    assert isinstance(claimed, Claimed)
    till.settle(claimed, Succeeded("sbx_1"))
    assert till.events(claimed.id) == [*["charge.pending"] * is_asked, "charge.succeeded"]
    assert till.row(claimed.id)["sequence"] == 1 + is_asked
    bodies = till.query("SELECT body FROM events WHERE object_id = :id ORDER BY 1", id=claimed.id)
    assert {json.loads(row["body"])["data"]["charge_id"] for row in bodies} == {claimed.id}


def test_what_the_row_says_is_told_though_nobody_asks_any_more(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody disables the endpoint between the row and its event."""
    endpoint_id = asks(till)
    tell = charges.publish_pending

    def disabled_first(transaction: Any, *given: Any) -> None:
        with Database(till.engine).transaction() as other:
            endpoints.disable(other, endpoint_id)
        tell(transaction, *given)

    monkeypatch.setattr(charges, "publish_pending", disabled_first)
    charge = a_charge()
    assert accepted(till, charge) == (1, ["charge.pending"])
    assert till.query("SELECT FROM deliveries") == []
    assert broken(till) == set()


def test_an_endpoint_that_comes_and_goes_leaves_no_gap(till: Till) -> None:
    before = a_charge()
    till.accept(before)
    endpoint_id = asks(till)
    while_asked = a_charge()
    till.accept(while_asked)
    with till.database.transaction() as transaction:
        endpoints.disable(transaction, endpoint_id)
    after = a_charge()
    till.accept(after)
    for charge in (before, while_asked, after):
        till.settle(till.claim(charge.id), SUCCEEDED)
    told = [till.events(one.id) for one in (before, while_asked, after)]
    assert told == [
        ["charge.succeeded"], ["charge.pending", "charge.succeeded"], ["charge.succeeded"],
    ]  # fmt: skip
    assert broken(till) == set()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("DELETE FROM events", {"events have no gap", "pending is told"}),
        ("DELETE FROM events; UPDATE charges SET sequence = 0", {"pending is told"}),
        ("UPDATE events SET type = 'charge.requires_action'", {"pending is told"}),
    ],
)
def test_verify_misses_what_was_to_be_told(till: Till, change: str, names: set[str]) -> None:
    asks_since_yesterday(till)
    till.accept(a_charge())
    assert broken(till) == set()
    with till.engine.connect() as connection:
        connection.exec_driver_sql(f"DELETE FROM deliveries; {change}")
        found = [check(connection, one, Patience(), {}) for one in OURS if one.level == "error"]
        assert {one.invariant.name for one in found if not one.is_kept} == names
