"""kill -9 while something is sold: stock is taken once, and given back once."""

import uuid

import httpx
import pytest

from infra.billing.contract.ids import id_from_key
from tests.support.house import House
from tests.support.web import Caller

IN_STOCK = 10


def left(caller: Caller, price_id: str) -> int:
    return int(caller.get(f"/prices/{price_id}").json()["quantity_available"])


@pytest.mark.parametrize("point", ["claiming", "claimed", "answered", "settling", "waking"])
@pytest.mark.parametrize(
    ("payment_method", "state", "remaining"),
    [("pm_card_visa", "succeeded", 7), ("pm_card_chargeDeclined", "failed", 10)],
    ids=["sold", "declined"],
)
def test_a_worker_that_dies_takes_and_gives_back_once(
    town: House, caller: Caller, point: str, payment_method: str, state: str, remaining: int
) -> None:
    price = caller.price(quantity_available=IN_STOCK)
    town.arm("worker", point)
    charge_id = town.charge(
        amount=None, currency=None, price_id=price["id"], quantity=3,
        payment_method_id=payment_method,
    )  # fmt: skip
    town.wait_for_death("worker", point)
    town.leases_end()
    town.start("worker")
    town.witness.wait_until_final([charge_id])
    assert town.witness.state(charge_id) == state
    assert left(caller, price["id"]) == remaining
    town.witness.testify()


@pytest.mark.parametrize("point", ["calling", "settling"])
def test_goods_come_back_once_though_the_worker_dies(
    town: House, caller: Caller, point: str
) -> None:
    price = caller.price(quantity_available=IN_STOCK)
    charge_id = caller.buy(price["id"], 4).json()["charge_id"]
    town.witness.wait_until_final([charge_id])
    town.arm("worker", point)
    refund_id = town.refund(charge_id, restock=True, producer=caller.producer)
    town.wait_for_death("worker", point)
    town.leases_end()
    town.start("worker")
    town.witness.wait_until_final([refund_id])
    assert left(caller, price["id"]) == IN_STOCK
    town.witness.testify()


@pytest.mark.parametrize("point", ["accepting", "accepted"])
def test_who_repeats_what_the_web_process_died_on_is_sold_once(
    town: House, caller: Caller, point: str
) -> None:
    price, key = caller.price(quantity_available=IN_STOCK), uuid.uuid4().hex
    town.arm("web", point)
    with pytest.raises(httpx.TransportError):
        caller.buy(price["id"], 3, key)
    town.wait_for_death("web", point)
    town.start("web")
    repeat = caller.buy(price["id"], 3, key)
    charge_id = id_from_key("charge", producer=caller.producer, key=key)
    assert repeat.json()["charge_id"] == charge_id
    town.witness.wait_until_final([charge_id])
    assert left(caller, price["id"]) == 7
    town.witness.testify()
