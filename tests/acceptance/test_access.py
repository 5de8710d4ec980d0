"""Two shops on one house: neither sees, refunds, or is told of what is the other's."""

import json
import uuid
from collections.abc import Iterator

import pytest

from infra.billing.contract.ids import id_from_key
from tests.support.house import House
from tests.support.sink import Sink, webhook_sink
from tests.support.waiting import wait_for
from tests.support.web import Caller


@pytest.fixture
def rival(town: House) -> Iterator[Caller]:
    """Another shop than `caller`."""
    with town.caller() as client:
        yield client


@pytest.fixture
def rivals_sink() -> Iterator[Sink]:
    with webhook_sink() as running:
        yield running


def test_what_one_shop_has_is_not_there_for_the_other(
    town: House, caller: Caller, rival: Caller, sink: Sink, rivals_sink: Sink
) -> None:
    for shop, where in ((caller, sink), (rival, rivals_sink)):
        made = shop.post("/webhook-endpoints", json={"url": where.url})
        assert made.json()["producer"] == shop.producer
    charge = caller.charge("order-1", headers={"prefer": "wait=30"}).json()
    assert (charge["state"], charge["producer"], charge["livemode"]) == (
        "succeeded", caller.producer, False,
    )  # fmt: skip
    charge_id = charge["charge_id"]
    # Its id is no secret: it is made of names that the rival may know.
    assert charge_id == id_from_key("charge", producer=caller.producer, key="order-1")

    assert rival.get(f"/charges/{charge_id}").status_code == 404
    assert rival.get(f"/charges/{charge_id}/timeline").status_code == 404
    assert rival.get("/charges").json()["data"] == []
    by_http = rival.refund(charge_id)
    by_message = town.refund(charge_id, producer=rival.producer)
    # By the message's own claim: what it may do is its producer's.
    own = town.refund(charge_id, producer=caller.producer, amount=1, key=uuid.uuid4().hex)
    wait_for(
        lambda: caller.get(f"/refunds/{own}").json().get("state") == "succeeded",
        what="the shop's own refund",
    )
    theirs = [by_message, *filter(None, [by_http.json().get("refund_id")])]
    for refund_id in theirs:
        refund = wait_for_it(rival, refund_id)
        assert (refund["state"], refund["amount"]) == ("pending", None)  # as of no charge at all
        ten_minutes_pass(town, refund_id)
    for refund_id in theirs:
        wait_for(
            lambda id_=refund_id: rival.get(f"/refunds/{id_}").json()["state"] != "pending",
            what="the refund's end",
        )
        ended = rival.get(f"/refunds/{refund_id}").json()
        assert (ended["state"], ended["failure_code"]) == ("failed", "charge_not_found")
    assert caller.get(f"/charges/{charge_id}").json()["refunded_amount"] == 1

    told = [json.loads(one.body) for one in sink.wait_for(2)]
    assert {one["type"] for one in told} == {"charge.succeeded", "refund.succeeded"}
    # The rival's own comes after all that it might have been told before.
    rivals = rival.charge("order-1", headers={"prefer": "wait=30"}).json()
    others = [json.loads(one.body)["data"] for one in rivals_sink.wait_for(len(theirs) + 1)]
    assert {one.get("refund_id") or one["charge_id"] for one in others} == {
        *theirs, rivals["charge_id"],
    }  # fmt: skip
    assert len(sink.requests) == 2
    for shop in (caller, rival):
        for endpoint in shop.get("/webhook-endpoints").json()["data"]:
            shop.delete(f"/webhook-endpoints/{endpoint['id']}")


def ten_minutes_pass(town: House, refund_id: str) -> None:
    """For the refund, which then is due."""
    town.witness.rows(
        "UPDATE refunds SET created_at = created_at - interval '11 minutes',"
        " next_attempt_at = now(), woken_at = NULL WHERE id = :id RETURNING 1",
        id=refund_id,
    )


def wait_for_it(shop: Caller, refund_id: str) -> dict:
    wait_for(
        lambda: shop.get(f"/refunds/{refund_id}").status_code == 200,
        what="the refund to be accepted",
    )
    found: dict = shop.get(f"/refunds/{refund_id}").json()
    return found
