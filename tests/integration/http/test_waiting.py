"""`Prefer: wait`: an answer as soon as it is final, and nothing held while it isn't."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from payments.processors.outcomes import Authorized, Succeeded
from tests.support.factories import Till
from tests.support.waiting import patience_s, wait_for
from tests.support.web import Caller, Web, insist


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(60) as pool:
        yield pool


def settle_when_there(till: Till, caller: Caller, count: int = 1) -> None:
    """Do a worker's work on the producer's charges, once they are all there."""

    def there() -> list[str]:
        rows = till.query("SELECT id FROM charges WHERE producer = :p", p=caller.producer)
        return [row["id"] for row in rows]

    wait_for(lambda: len(there()) == count, what=f"{count} charges")
    claims = till.submit(*there())
    till.settle_all(*((claim, "charge", Succeeded("sbx_1")) for claim in claims))


def test_it_answers_when_the_charge_is_final(
    caller: Caller, till: Till, threads: ThreadPoolExecutor
) -> None:
    asked = threads.submit(caller.charge, "order-1", {"prefer": "wait=30"})
    settle_when_there(till, caller)
    answer = asked.result(patience_s())
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert "idempotent-replayed" not in answer.headers
    assert answer.headers["location"].endswith(answer.json()["charge_id"])


def test_a_get_waits_too(caller: Caller, till: Till, threads: ThreadPoolExecutor) -> None:
    charge_id = caller.charge().json()["charge_id"]
    asked = threads.submit(
        caller.get, f"/charges/{charge_id}", headers={"prefer": "respond-async, wait=30"}
    )
    settle_when_there(till, caller)
    assert asked.result(patience_s()).json()["state"] == "succeeded"


def test_when_the_time_is_up_it_is_told_as_it_stands(caller: Caller) -> None:
    first = caller.charge("order-1", {"prefer": "wait=1"})
    assert (first.status_code, first.json()["state"]) == (202, "pending")
    repeat = caller.charge("order-1", {"prefer": "wait=1"})
    assert (repeat.status_code, repeat.json()["state"]) == (200, "pending")


@pytest.mark.parametrize("preference", ["wait=0", "wait", "wait=x", "wait=-1", "handling=lenient"])
def test_a_preference_that_says_nothing_is_ignored(caller: Caller, preference: str) -> None:
    assert caller.charge(headers={"prefer": preference}).status_code == 202


def test_fifty_who_wait_hold_no_connection_each(
    door: Web, caller: Caller, till: Till, threads: ThreadPoolExecutor
) -> None:
    def ask(number: int) -> httpx.Response:
        return insist(lambda: caller.charge(f"order-{number}", {"prefer": "wait=30"}))

    asked: list[Future] = [threads.submit(ask, number) for number in range(50)]
    mine = "SELECT count(*) AS n FROM charges WHERE producer = :p"
    wait_for(lambda: till.query(mine, p=caller.producer)[0]["n"] == 50, what="50 charges")
    held = till.query(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE application_name = 'billing web' AND datname = current_database()"
    )
    assert held[0]["n"] <= 12
    settle_when_there(till, caller, 50)
    assert {future.result(patience_s()).json()["state"] for future in asked} == {"succeeded"}


def test_it_answers_when_the_money_is_set_aside_or_a_part_is_taken(
    caller: Caller, till: Till, threads: ThreadPoolExecutor
) -> None:
    charge_id = caller.charge(capture="manual", amount=1000).json()["charge_id"]
    prefer = {"headers": {"prefer": "wait=30"}}
    asked = threads.submit(caller.get, f"/charges/{charge_id}", **prefer)
    till.settle(till.claim(charge_id), Authorized("sbx_1"))
    assert asked.result(patience_s()).json()["phase"] == "authorized"
    assert caller.get(f"/charges/{charge_id}", **prefer).json()["phase"] == "authorized"
    part = {"json": {"amount": 400, "final": False}, **prefer}
    asked = threads.submit(caller.post, f"/charges/{charge_id}/capture", **part)
    wait_for(
        lambda: caller.get(f"/charges/{charge_id}").json()["phase"] == "queued", what="the capture"
    )
    till.settle(till.claim(charge_id), Authorized("sbx_1", 400))
    answer = asked.result(patience_s())
    assert (answer.status_code, answer.json()["amount_captured"]) == (202, 400)
