"""The feed of events: one order for everybody, and nothing missed in it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.lifecycle.accepting import charges
from payments.parsing import parse
from payments.processors.outcomes import Succeeded
from payments.transaction import Transaction
from tests.support.every import every
from tests.support.factories import Till, a_charge
from tests.support.web import Caller, Web


@pytest.fixture(autouse=True)
def told_of_pending(door: Web) -> Iterator[None]:
    """An endpoint that asks to be told of what is accepted, whoever asks for it: so every charge
    has an event at once."""
    asked = {"url": "https://example.com/hooks", "event_types": ["charge.pending"]}
    with door.caller(all_producers=True) as operator:
        made = operator.post("/webhook-endpoints", json=asked)
        assert made.status_code == 201, made.text
        yield
        operator.delete(f"/webhook-endpoints/{made.json()['id']}")


def last_position(till: Till) -> int:
    return int(till.query("SELECT coalesce(max(position), 0) AS p FROM events")[0]["p"])


@pytest.fixture(params=["its own", "all"])
def reader(request: pytest.FixtureRequest, door: Web, caller: Caller) -> Iterator[Caller]:
    """Who reads: the caller, who sees its own events, or somebody who sees all."""
    if request.param == "its own":
        yield caller
        return
    with door.caller(all_producers=True) as operator:
        yield operator


def read(caller: Caller, after: int, **query: int) -> dict:
    answer = caller.get("/events", params={"after": after, **query})
    assert answer.status_code == 200, answer.text
    page: dict = answer.json()
    return page


def test_it_holds_the_bodies_of_the_webhooks(caller: Caller, till: Till) -> None:
    start = last_position(till)
    charge_id = caller.charge().json()["charge_id"]
    till.settle(till.claim(charge_id), Succeeded("sbx_1"))
    page = read(caller, start)
    rows = till.query("SELECT * FROM events WHERE object_id = :id ORDER BY position", id=charge_id)
    assert [event["type"] for event in page["data"]] == ["charge.pending", "charge.succeeded"]
    for event, row in zip(page["data"], rows, strict=True):
        assert {**json.loads(row["body"]), "id": row["id"], "position": row["position"]} == event
    assert page["has_more"] is False
    assert page["next_cursor"] == str(rows[-1]["position"])


def test_pages_follow_each_other_and_the_end_says_where_to_go_on(
    caller: Caller, till: Till
) -> None:
    start = last_position(till)
    made = [caller.charge().json()["charge_id"] for _ in range(5)]
    found, after, more = [], start, True
    while more:
        page = read(caller, after, limit=2)
        found += [event["data"]["charge_id"] for event in page["data"]]
        after, more = int(page["next_cursor"]), page["has_more"]
    assert found == made
    assert read(caller, after) == {"data": [], "has_more": False, "next_cursor": str(after)}


def test_what_an_open_transaction_will_tell_is_not_read_past(
    door: Web, reader: Caller, caller: Caller, till: Till
) -> None:
    start = last_position(till)
    with door.engine.connect() as slow:
        late = charges.NewCharge(a_charge(producer=caller.producer), "sandbox")
        charges.accept(Transaction(slow), [late])  # has a position, and is not committed
        early = caller.charge().json()["charge_id"]
        page = read(reader, start)
        assert (page["data"], page["next_cursor"]) == ([], str(start))
        slow.commit()
    found = [event["data"]["charge_id"] for event in read(reader, start)["data"]]
    assert found == [late.request.id, early]


def test_a_position_that_was_rolled_back_holds_up_nothing(
    door: Web, reader: Caller, caller: Caller, till: Till
) -> None:
    start = last_position(till)
    with door.engine.connect() as slow:
        charges.accept(Transaction(slow), [charges.NewCharge(a_charge(), "sandbox")])
        slow.rollback()
    charge_id = caller.charge().json()["charge_id"]
    (event,) = read(reader, start)["data"]
    assert event["data"]["charge_id"] == charge_id
    assert event["position"] > start + 1


def test_a_reader_beside_many_writers_misses_nothing(
    door: Web, reader: Caller, caller: Caller, till: Till
) -> None:
    """Who sees its own alone passes over others' (each third is another's), and misses none."""
    start, wanted = last_position(till), 120
    sees_all = reader is not caller

    def write(number: int) -> None:
        # Each with a transaction of its own, some of which are rolled back.
        producer = "somebody.else" if number % 3 == 2 else caller.producer
        named = {"producer": producer, "idempotency_key": f"{caller.producer}-{number}"}
        request = parse(ChargeRequest, {**CHARGE, **named})
        with door.engine.connect() as connection:
            charges.accept(Transaction(connection), [charges.NewCharge(request, "sandbox")])
            connection.execute(text("SELECT pg_sleep(random() / 100)"))
            connection.rollback() if number % 5 == 4 else connection.commit()

    found: list[int] = []
    with ThreadPoolExecutor(8) as threads:
        writing = [threads.submit(write, number) for number in range(wanted)]
        after = start
        while True:
            is_last = all(future.done() for future in writing)
            page = read(reader, after)
            found += [event["position"] for event in page["data"]]
            after = int(page["next_cursor"])
            if is_last and not page["has_more"]:
                break
        assert [future.result() for future in writing] == [None] * wanted
    there = [
        row["position"]
        for row in till.query(
            "SELECT position, producer FROM events WHERE position > :p ORDER BY 1", p=str(start)
        )
        if sees_all or row["producer"] == caller.producer
    ]
    assert found == there
    assert len(found) == (wanted * 4 // 5 if sees_all else wanted * 4 // 5 * 2 // 3)
    # Past its last own one, too: the next question begins where this one saw.
    assert after >= last_position(till) or sees_all


@every("query", ["after=-1", "after=x", "after=9999999999999999999999", "limit=0",
                                   "limit=101", "before=1"])  # fmt: skip
def test_a_place_that_is_none_is_refused(caller: Caller, query: str) -> None:
    assert caller.get(f"/events?{query}").status_code == 400


CHARGE = {"amount": 1999, "currency": "USD"}
