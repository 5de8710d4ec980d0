"""The story of a charge or a refund: all of it, in order, in words."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from infra.billing.contract.ids import event_id, id_from_key
from infra.billing.contract.requests.price_request import PriceChanges
from payments.catalog import prices, products
from payments.catalog.changes import changes
from payments.catalog.history import LATEST
from payments.history.identifiers import EACH_MAX, named, producers_of
from payments.history.timeline import timeline
from payments.lifecycle import cancels
from payments.lifecycle.cancels import Cancellation
from payments.payment_errors import NotFound, Refused
from payments.timeline_entries import Entry
from payments.webhooks import endpoints
from payments.webhooks.pings import ping
from payments.webhooks.target import TargetCheck
from tests.support.acting import Database, by
from tests.support.counter import Counter, counter
from tests.support.sandbox import STATEMENTS
from tests.support.vault import VAULT
from tests.support.webhooks import LOOPBACK, pending_is_asked_for


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


def story(till: Counter, id_or_key: str, **producer: str | None) -> list[Entry]:
    with till.engine.connect() as connection:
        return timeline(connection, id_or_key, statements=STATEMENTS, **producer)


def whats(entries: list[Entry]) -> list[str]:
    return [entry.what for entry in entries]


def test_a_charge_that_just_worked(till: Counter) -> None:
    till.charge(idempotency_key="order-1", amount=1999, reference="R1")
    told = story(till, "order-1")
    assert whats(told) == ["request", "movement", "attempt", "event", "now"]
    assert [entry.at for entry in told] == sorted(entry.at for entry in told)
    assert told[0].text == (
        "charge of 19.99 USD asked for by the producer 'default' under the key 'order-1'"
    )
    assert told[0].facts["reference"] == "R1"
    assert told[1].text.startswith("sandbox: 19.99 USD moved from the customer to us (sbx_")
    assert told[2].text.startswith("attempt 1: charge → succeeded after ")
    assert (told[3].facts["type"], told[3].facts["sequence"]) == ("charge.succeeded", 1)
    assert told[4].text == "now succeeded"


def test_what_is_set_aside_is_named_as_its_processor_does_and_until_when(till: Counter) -> None:
    charge = till.charge(capture="manual")
    with till.engine.connect() as connection:
        now = timeline(connection, charge["id"], statements={})[-1]  # of one that shows no books
    assert now.facts["processor_reference"] == charge["processor_reference"]
    assert f", at sandbox as {charge['processor_reference']}, to be captured before " in now.text
    assert now.facts["capture_before"] in now.text
    assert " as sbx_" not in story(till, charge["id"])[-1].text  # its movement names it


def test_a_timeout_shows_the_doubt_and_how_it_ended(till: Counter) -> None:
    charge = till.charge(payment_method_id="pm_sandbox_timeout_after")
    waiting = story(till, charge["id"])
    assert "attempt 1: charge → unknown (timeout)" in waiting[-2].text
    assert waiting[-1].text.startswith("now unknown, due at 20")
    till.go_on(charge["id"])
    attempts = [e.text for e in story(till, charge["id"]) if e.what == "attempt"]
    assert [text.split(" after ")[0] for text in attempts] == [
        "attempt 1: charge → unknown (timeout)",
        "attempt 2: look_up → succeeded",
    ]


def test_a_key_finds_its_charge_its_refund_and_its_refusals(till: Counter) -> None:
    charge = till.charge(idempotency_key="k")
    till.refund(charge["id"], idempotency_key="k", amount=250)
    till.refuse({"amount": "12", "currency": "USD", "idempotency_key": "k"})
    told = story(till, "k")
    assert {entry.object_id[:3] for entry in told} == {"ch_", "re_", "rej"}
    (rejection,) = [entry for entry in told if entry.what == "rejection"]
    assert rejection.text.startswith("billing.charge.create refused (invalid_request): amount must")
    (refund,) = [entry for entry in told if entry.what == "refund"]
    assert refund.text.endswith("of 2.50 USD, now succeeded")
    assert [e.facts["type"] for e in told if e.what == "event" and e.object_id[:3] == "rej"] == [
        "request.rejected"
    ]


def test_a_key_belongs_to_its_producer_and_is_found_without_knowing_which(till: Counter) -> None:
    till.charge(idempotency_key="k", producer="shop")
    with pytest.raises(NotFound, match="'default'"):
        story(till, "k", producer="default")
    for producer in (None, "shop"):
        assert story(till, "k", producer=producer)[0].text.startswith("charge of 10.00 USD asked")
    assert story(till, "k", producer="shop")[0].object_id == id_from_key(
        "charge", producer="shop", key="k"
    )


def test_every_id_that_people_meet_finds_the_story(till: Counter) -> None:
    charge = till.charge()
    (event,) = till.query("SELECT id FROM events WHERE object_id = :id", id=charge["id"])
    rejection = till.refuse({"amount": "12", "idempotency_key": "bad"})
    assert whats(story(till, event["id"])) == whats(story(till, charge["id"]))
    assert whats(story(till, rejection)) == ["rejection", "event"]
    for nothing in ("ch_x", "re_x", "evt_x", "rej_x", "we_x", "key", ""):
        with pytest.raises(NotFound):
            story(till, nothing, producer=None)


def test_whatever_people_have_in_hand_finds_the_story(till: Counter) -> None:
    charge = till.charge(
        idempotency_key="k1", producer="shop", reference="order-1", customer_id="cus_1",
        task_id="message-1",
    )  # fmt: skip
    refund = till.refund(charge["id"], producer="shop", amount=250)
    till.charge(idempotency_key="k2", producer="other", reference="order-2")
    for hand, whose in (
        ("k1", charge), ("order-1", charge), ("cus_1", charge), ("message-1", charge),
        (charge["processor_reference"], charge), (refund["processor_reference"], refund),
    ):  # fmt: skip
        told = story(till, hand, producer=None)
        assert {entry.object_id for entry in told} == {whose["id"]}, hand
        assert story(till, hand, producer="shop")[0].object_id == whose["id"]
        with pytest.raises(NotFound):
            story(till, hand, producer="other")


def test_of_a_customer_with_many_charges_the_newest_are_told(till: Counter) -> None:
    for n in range(EACH_MAX + 2):
        till.charge(idempotency_key=f"k{n}", customer_id="cus_1")
    with till.engine.connect() as connection:
        found = named(connection, "cus_1")
        assert (len(found.ids) - 4, found.more) == (EACH_MAX, True)  # 4 by a key that is none
        assert id_from_key("charge", producer="default", key=f"k{EACH_MAX + 1}") in found.ids
        assert not named(connection, "k1").more


def test_every_way_to_look_goes_by_an_index(till: Counter) -> None:
    till.query(
        "INSERT INTO charges (id, producer, idempotency_key, fingerprint, currency, amount, state,"
        " phase, processor, reference, customer_id, processor_reference, request_id, settled_at,"
        " next_attempt_at) SELECT 'ch_' || n, 'p' || n % 5, n, '', 'USD', 1, 'succeeded', NULL,"
        " 'sandbox', 'r' || n, 'c' || n, 'pr' || n, 'rq' || n, now(), NULL"
        " FROM generate_series(1, 20000) AS n"
    )
    till.query("ANALYZE charges")
    till.query("ANALYZE refunds")
    with till.engine.connect() as connection:
        rows_before = _scanned(connection)
        assert producers_of(connection) == ["default", "p0", "p1", "p2", "p3", "p4"]
        for hand in ("r77", "c77", "pr77", "rq77", "k77"):
            named(connection, hand)
        assert _scanned(connection) - rows_before == 0


def _scanned(connection: Connection) -> int:
    """How often charges was read from end to end, in this transaction and before it."""
    reads = text(
        "SELECT pg_stat_get_xact_numscans('charges'::regclass)"
        " + pg_stat_get_numscans('charges'::regclass)"
    )
    return int(connection.execute(reads).scalar_one())


def test_an_endpoint_tells_how_it_stands_and_what_was_told_of_it(till: Counter) -> None:
    with Database(till.engine).transaction() as transaction:
        url, check = "http://127.0.0.1:9/", TargetCheck(LOOPBACK)
        endpoint, _ = endpoints.add(transaction, url=url, target_check=check, vault=VAULT)
        ping(transaction, endpoint.id)
        endpoints.disable(transaction, endpoint.id)
    told = story(till, endpoint.id)
    assert [e.facts["type"] for e in told if e.what == "event"] == ["ping", "endpoint.disabled"]
    assert told[-1].text.startswith(
        "endpoint at http://127.0.0.1:9/ for events of everybody: now disabled, 1 waiting"
    )


def test_delivered_stands_behind_the_post_that_delivered(till: Counter) -> None:
    with Database(till.engine).transaction() as transaction:
        url, check = "https://example.com/hook", TargetCheck()
        endpoint, _ = endpoints.add(transaction, url=url, target_check=check, vault=VAULT)
    charge = till.charge()
    till.query(
        "INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms, status_code)"
        " SELECT id, 1, now(), 12, 200 FROM deliveries"
    )
    till.query(
        "UPDATE deliveries SET state = 'delivered', attempts = 1, finished_at = now()"
        ", next_attempt_at = NULL"
    )
    told = story(till, charge["id"])
    words = [e.text for e in told if e.what in ("delivery", "post", "delivered")]
    assert words == [
        f"charge.succeeded for {endpoint.id} at https://example.com/hook",
        f"charge.succeeded posted to {endpoint.id}, attempt 1: 200 after 12 ms",
        f"charge.succeeded for {endpoint.id}: delivered after 1 attempt",
    ]


def test_deliveries_and_each_post_are_told(till: Counter) -> None:
    with till.database.transaction() as transaction:
        url, check = "https://example.com/hook", TargetCheck()
        endpoint, _ = endpoints.add(transaction, url=url, target_check=check, vault=VAULT)
    charge = till.charge()
    till.query(
        "INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms, status_code,"
        " error) SELECT id, 1, now(), 12, 500, NULL FROM deliveries UNION ALL"
        " SELECT id, 2, now() + interval '5 s', 10000, NULL, 'timeout' FROM deliveries"
    )
    told = story(till, charge["id"])
    (delivery,) = [entry for entry in told if entry.what == "delivery"]
    assert f"for {endpoint.id} at https://example.com/hook: pending, due at" in delivery.text
    posts = [entry.text for entry in told if entry.what == "post"]
    assert posts == [
        f"charge.succeeded posted to {endpoint.id}, attempt 1: 500 after 12 ms",
        f"charge.succeeded posted to {endpoint.id}, attempt 2: timeout after 10000 ms",
    ]


def test_what_the_last_attempt_was_answered_is_told_if_it_failed(till: Counter) -> None:
    with till.database.transaction() as transaction:
        url, check = "https://example.com/hook", TargetCheck()
        endpoint, _ = endpoints.add(transaction, url=url, target_check=check, vault=VAULT)
    charge = till.charge()
    till.query(
        "INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms, status_code,"
        " response_body) SELECT id, n, now(), 12, 500, 'no\ntable ' || n || repeat('x', 999)"
        " FROM deliveries, generate_series(1, 2) n"
    )
    till.query("UPDATE deliveries SET attempts = 2")
    first, last = [entry for entry in story(till, charge["id"]) if entry.what == "post"]
    assert first.text.endswith("attempt 1: 500 after 12 ms")
    assert f"{endpoint.id}, attempt 2: 500 after 12 ms, saying: no table 2xxx" in last.text
    assert len(last.text) < 400


def test_why_an_endpoint_was_not_told_is_told(till: Counter) -> None:
    check = TargetCheck()

    def added(**fields: Any) -> str:
        with till.database.transaction() as transaction:
            made, _ = endpoints.add(
                transaction,
                url="https://example.com/hook",
                target_check=check,
                vault=VAULT,
                **fields,
            )
        return made.id

    all_but_pending, refunds = added(), added(event_types=["refund.succeeded"])
    others, off, changed, gone = added(producer="other"), added(), added(), added()
    added(event_types=["charge.pending", "charge.succeeded"])  # or nothing tells of pending
    with till.database.transaction() as transaction:
        endpoints.disable(transaction, off)
        endpoints.disable(transaction, changed)
        endpoints.delete(transaction, gone)
    charge = till.charge()
    with till.database.transaction() as transaction:
        endpoints.enable(transaction, changed)
    late = added()
    told = story(till, charge["id"])
    why = {
        (entry.text.partition(" ")[0], entry.facts["reason"]): entry.facts["endpoint_ids"]
        for entry in told
        if entry.what == "no_delivery"
    }
    assert why["charge.succeeded", "not_asked_for"] == [refunds]
    assert why["charge.succeeded", "other_producer"] == [others]
    assert why["charge.succeeded", "disabled"] == [off]
    assert why["charge.succeeded", "not_then"] == [changed]
    assert why["charge.succeeded", "added_later"] == [late]
    assert all_but_pending in why["charge.pending", "not_asked_for"]
    assert all_but_pending not in str([why[key] for key in why if key[0] == "charge.succeeded"])
    assert gone not in str(why)
    texts = [entry.text for entry in told if entry.what == "no_delivery"]
    assert f"charge.succeeded not for {refunds}: doesn't ask for this type" in texts


def test_many_that_were_not_told_are_counted(till: Counter) -> None:
    with till.database.transaction() as transaction:
        for _ in range(8):
            endpoints.add(
                transaction,
                url="https://example.com/hook",
                target_check=TargetCheck(),
                vault=VAULT,
                producer="other",
            )
    charge = till.charge()
    (told,) = [entry for entry in story(till, charge["id"]) if entry.what == "no_delivery"]
    assert " and 3 more: for events of another producer" in told.text
    assert (len(told.facts["endpoint_ids"]), told.facts["endpoints"]) == (5, 8)


def test_a_refund_that_the_bank_returned_tells_both_ways_of_the_money(till: Counter) -> None:
    charge = till.charge(payment_method_id="pm_sandbox_refund_fails_later", currency="JPY")
    refund = till.refund(charge["id"], amount=300)
    till.query("UPDATE sandbox_requests SET turns_at = now() WHERE turns_at IS NOT NULL")
    till.hear_reports()
    told = story(till, refund["id"])
    assert [entry.facts["direction"] for entry in told if entry.what == "movement"] == [
        "refund",
        "reversal",
    ]
    assert "300 JPY came back to us" in "\n".join(entry.text for entry in told)
    assert told[-1].text == "now failed: refund_failed"


def test_no_secret_and_nothing_of_the_customer_is_told(till: Counter) -> None:
    charge = till.charge(description="for Ada", customer_id="ada@example.com")
    told = json.dumps([entry.view() for entry in story(till, charge["id"])])
    assert "Ada" not in told
    assert "ada@example.com" not in told
    assert "lease_token" not in told


def test_a_refused_repeat_belongs_to_the_story_of_the_first(till: Counter) -> None:
    charge = till.charge(idempotency_key="k")
    with pytest.raises(Refused):
        till.charge(idempotency_key="k", amount=5)
    till.refuse({"idempotency_key": "k", "currency": "USD"})
    assert "rejection" in whats(story(till, charge["id"]))


def test_a_ping_has_a_story_too(till: Counter) -> None:
    with Database(till.engine).transaction() as transaction:
        url, check = "http://127.0.0.1:9/", TargetCheck(LOOPBACK)
        endpoint, _ = endpoints.add(transaction, url=url, target_check=check, vault=VAULT)
        event_id = ping(transaction, endpoint.id)
    told = story(till, event_id)
    assert whats(told) == ["event", "delivery", "action", "action", "now"]
    assert endpoint.id in told[1].text
    assert [one.text for one in told if one.what == "action"] == [
        "endpoint.create by ada (command): I looked",
        "endpoint.ping by ada (command): I looked",
    ]


def test_a_charge_by_price_tells_what_became_of_its_stock(till: Counter) -> None:
    price = till.price(quantity_available=10)
    sold = till.buy(price["id"], 3, idempotency_key="sold")
    told = story(till, sold["id"])
    assert told[0].text == (
        f"charge of 60.00 USD, 3 × {price['id']}, asked for by the producer 'default' under the key"
        " 'sold'"
    )
    assert told[0].facts["lines"][0]["amount"] == 6000
    stock = [(entry.text, entry.facts["stock"]) for entry in told if entry.what == "stock"]
    assert stock == [
        (f"3 units of {price['id']} held", "held"), (f"3 units of {price['id']} sold", "sold"),
    ]  # fmt: skip
    declined = till.buy(price["id"], 1, payment_method_id="pm_card_chargeDeclined")
    texts = [entry.text for entry in story(till, declined["id"]) if entry.what == "stock"]
    assert texts == [f"1 unit of {price['id']} held", f"1 unit of {price['id']} released"]
    till.refund(sold["id"], restock=True)
    (refund,) = [entry for entry in story(till, sold["id"]) if entry.what == "refund"]
    assert refund.text.endswith("; 3 units came back")


def test_a_price_tells_how_it_was_made_counted_and_sold(till: Counter) -> None:
    price = till.price(quantity_available=10, idempotency_key="tea", lookup_key="tea-usd")
    till.adjust(price["id"], "increment", 5)
    till.adjust(price["id"], "decrement", 2)
    bought = till.buy(price["id"], 4)
    refund = till.refund(bought["id"], amount=2000, restock=True, restock_quantity=1)
    declined = till.buy(price["id"], 1, payment_method_id="pm_card_chargeDeclined")
    told = story(till, price["id"])
    assert told[0].text == (
        f"price of 'Tea' ({price['product_id']}), 20.00 USD each, made by the producer 'default'"
        " under the key 'tea', with 10 in stock"
    )
    assert [entry.text for entry in told if entry.what == "stock"] == [
        "+5 by hand, by the producer 'default', 15 left",
        "-2 by hand, by the producer 'default', 13 left",
        f"4 units held for {bought['id']}",
        f"4 units sold with {bought['id']}",
        f"1 unit of {bought['id']} back with {refund['id']}",
        f"1 unit held for {declined['id']}",
        f"1 unit released by {declined['id']}",
    ]
    assert told[-1].text == ("now active, 10 left, 0 held by charges, 4 sold and 1 of these back")
    left = [entry.text.partition(": ")[2] for entry in told if entry.what == "event"]
    assert left == ["", "15 left", "13 left", "9 left", "10 left", "9 left", "10 left"]
    for name in ("tea", "tea-usd"):
        assert story(till, name)[:-1] == told[:-1]


def test_a_price_tells_what_was_changed(till: Counter) -> None:
    price = till.price(lookup_key="tea", nickname="Tea")
    for asked in (
        {"nickname": None, "metadata": {"a": "1"}}, {"lookup_key": "chai"}, {"active": False},
    ):  # fmt: skip
        with till.database.transaction() as transaction:
            prices.change(transaction, price["id"], changes(PriceChanges, asked))
    with till.database.transaction() as transaction:
        products.archive(transaction, price["product_id"])
    told = story(till, price["id"])
    assert [entry.text.partition(": ")[2] for entry in told if entry.what == "event"] == [
        "", "nickname is unset, metadata changed", "lookup_key is 'chai'", "active is false",
    ]  # fmt: skip
    assert told[-1].text == "now archived"
    with till.database.transaction() as transaction:
        prices.change(transaction, price["id"], changes(PriceChanges, {"active": True}))
    assert story(till, price["id"])[-1].text == "now active, but its product is archived"


def test_of_a_busy_price_the_latest_is_told_and_how_much_is_left_out(till: Counter) -> None:
    price = till.price(quantity_available=1_000)
    for _ in range(LATEST + 1):
        till.buy(price["id"], 1)
    told = story(till, price["id"])
    events = [entry for entry in told if entry.what == "event"]
    assert events[0].text == "2 earlier events are not told here"
    assert [entry.facts["sequence"] for entry in events[1:]] == [*range(3, LATEST + 3)]
    stock = [entry.text for entry in told if entry.what == "stock"]
    assert stock[0] == "what was sold before is not told here"
    assert len(stock) == 1 + 2 * LATEST
    assert told[0].what == "request"
    assert told[-1].text.startswith(f"now active, {1_000 - LATEST - 1} left")


def test_a_price_that_was_deleted_has_a_story_still(till: Counter) -> None:
    price = till.price(quantity_available=3, idempotency_key="tea")
    till.adjust(price["id"], "increment", 1)
    with till.database.transaction() as transaction:
        prices.delete(transaction, price["id"])
    for name in (price["id"], event_id(price["id"], 2)):
        told = story(till, name)
        assert [entry.facts["type"] for entry in told] == [
            "price.created", "price.inventory_changed", "price.deleted",
        ]  # fmt: skip


def test_a_product_tells_how_it_was_made_and_how_it_stands(till: Counter) -> None:
    price = till.price()
    told = story(till, price["product_id"])
    assert [(entry.what, entry.text.partition(",")[0]) for entry in told] == [
        ("request", "product 'Tea'"), ("now", "now active"),
    ]  # fmt: skip
    assert told[-1].text == "now active, with 1 price"


def test_the_id_of_the_message_is_told_unless_it_may_be_anything(till: Counter) -> None:
    till.charge(idempotency_key="order-1", task_id="7c1a-message")
    till.charge(idempotency_key="order-2", task_id="someone@example.com")
    first, second = (story(till, f"order-{n}")[0] for n in (1, 2))
    assert first.text.endswith(", request 7c1a-message")
    assert "request_id" not in second.facts
    assert "example.com" not in second.text


def test_a_cancellation_moves_nothing_that_came_before_it(till: Counter) -> None:
    pending_is_asked_for(till.engine)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    charge = till.charge(scheduled_at=tomorrow)
    asked_at = charge["created_at"]
    with till.database.transaction() as transaction:
        cancels.cancel(transaction, [Cancellation(charge["id"], acting=by("tests"))])
    told = story(till, charge["id"])
    assert [(entry.what, entry.at == asked_at) for entry in told[:2]] == [
        ("request", True), ("event", True),
    ]  # fmt: skip
    ended = [entry for entry in told if "its end asked for" in entry.text]
    assert ended
    assert all(entry.at > asked_at for entry in ended)
