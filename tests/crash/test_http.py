"""kill -9 of the web process between reading a request and answering it."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from infra import billing
from infra.billing.contract.ids import Kind, id_from_key
from tests.support.house import House
from tests.support.sdk import sdk_of
from tests.support.waiting import patience_s, slowness, wait_for
from tests.support.web import Caller

# Whether the request is accepted when the process dies, without anybody knowing.
POINTS = {"accepting": False, "accepted": True, "woken": True}
ACCEPTED = [point for point, is_accepted in POINTS.items() if is_accepted]

Ask = Callable[[str], httpx.Response]


@pytest.fixture(params=["charge", "refund"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def ask(town: House, caller: Caller, kind: Kind) -> Ask:
    """Asks for USD 5.00, to take them or to give them back of a charge that succeeded."""
    if kind == "charge":
        return lambda key: caller.charge(key, amount=500)
    charge_id = caller.charge().json()["charge_id"]
    town.witness.wait_until_final([charge_id])
    return lambda key: caller.refund(charge_id, key, amount=500)


def die_at(point: str, town: House, ask: Ask, key: str) -> None:
    """Ask, and get no answer."""
    town.arm("web", point)
    with pytest.raises(httpx.TransportError):
        ask(key)
    town.wait_for_death("web", point)


@pytest.mark.parametrize("point", POINTS)
def test_who_repeats_gets_the_same_one_and_money_moves_once(
    point: str, town: House, caller: Caller, kind: Kind, ask: Ask
) -> None:
    key = uuid.uuid4().hex
    id_ = id_from_key(kind, producer=caller.producer, key=key)
    die_at(point, town, ask, key)
    assert (town.witness.object(id_) is not None) is POINTS[point]

    town.start("web")
    answer = ask(key)

    assert answer.status_code == (200 if POINTS[point] else 202)
    assert answer.headers.get("idempotent-replayed") == ("true" if POINTS[point] else None)
    assert answer.json()[f"{kind}_id"] == id_
    if point == "accepted":
        town.time_passes(id_)
    town.witness.wait_until_final([id_])
    assert town.witness.movements(id_) == [(kind, 500)]
    town.witness.testify()


@pytest.mark.parametrize("point", ACCEPTED)
def test_what_was_accepted_is_done_though_nobody_repeats_it(
    point: str, town: House, caller: Caller, kind: Kind, ask: Ask
) -> None:
    key = uuid.uuid4().hex
    die_at(point, town, ask, key)

    id_ = id_from_key(kind, producer=caller.producer, key=key)
    if point == "accepted":
        town.time_passes(id_)
    town.witness.wait_until_final([id_])
    assert town.witness.story(id_) == [f"{kind} succeeded"]
    assert town.witness.movements(id_) == [(kind, 500)]
    town.witness.testify()


def test_a_charge_that_was_written_with_one_statement_is_there_though_nobody_was_answered(
    town: House, caller: Caller
) -> None:
    caller.charge().raise_for_status()  # from now on it is known who asks
    key = uuid.uuid4().hex
    id_ = id_from_key("charge", producer=caller.producer, key=key)
    die_at("written_at_once", town, lambda key: caller.charge(key, amount=500), key)
    assert town.witness.object(id_) is not None

    town.start("web")
    assert caller.charge(key, amount=500).headers["idempotent-replayed"] == "true"
    town.time_passes(id_)
    town.witness.wait_until_final([id_])
    assert town.witness.movements(id_) == [("charge", 500)]
    town.witness.testify()


def test_a_kill_in_the_middle_of_many_loses_none_and_doubles_none(
    town: House, caller: Caller
) -> None:
    """The SDK repeats by itself, under the same keys, what it got no answer to."""
    asked = [
        {"amount": number, "currency": "USD", "idempotency_key": f"order-{number}"}
        for number in range(1, round(600 * slowness()) + 1)
    ]
    ids = [
        id_from_key("charge", producer=caller.producer, key=str(one["idempotency_key"]))
        for one in asked
    ]
    some = "SELECT FROM charges WHERE id = ANY(:ids) OFFSET 20"
    with sdk_of(caller, timeout_s=60.0), ThreadPoolExecutor(1) as threads:
        asking = threads.submit(lambda: list(billing.charge.create_many(asked)))
        wait_for(lambda: town.witness.rows(some, ids=ids), what="some of them", every_s=0.002)
        town.running["web"].kill()
        there = len(town.witness.rows("SELECT FROM charges WHERE id = ANY(:ids)", ids=ids))
        town.start("web")
        answers = asking.result(patience_s())
    assert there < len(ids)
    assert [answer["charge_id"] for answer in answers] == ids
    town.witness.wait_until_final(ids)
    assert [town.witness.movements(id_) for id_ in ids] == [
        [("charge", one["amount"])] for one in asked
    ]
    town.witness.testify()
