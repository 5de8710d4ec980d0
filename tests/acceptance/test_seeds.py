"""The samples that the product was asked for with, from the first line to the money."""

from collections.abc import Iterator

import pytest

from infra import billing
from tests.support.house import House
from tests.support.sdk import sdk_of
from tests.support.seeds import CREATE, GET, REFUND, run
from tests.support.web import Caller


@pytest.fixture
def caller(town: House) -> Iterator[Caller]:
    """Somebody with an API key, and the SDK configured with it."""
    if "web" not in town.running:
        town.start("web")
    with town.caller() as client, sdk_of(client):
        yield client


def test_the_samples_take_money_and_give_it_back(
    town: House, caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    run(CREATE.replace("19.99", "1999"))
    said, charge_id, *_ = capsys.readouterr().out.split()
    assert said == "charge:"
    assert billing.charge.wait(charge_id).state == "succeeded"

    run(GET.replace("ch_...", charge_id))
    assert capsys.readouterr().out == "state: succeeded | amount: 1999\n"

    run(REFUND.replace("ch_...", charge_id).replace("5.0", "500"))
    said, refund_id, *_ = capsys.readouterr().out.split()
    assert said == "refund:"
    assert billing.refund.wait(refund_id).state == "succeeded"

    run(GET.replace("ch_...", charge_id))
    assert billing.charge.get(id=charge_id).refunded_amount == 500
    town.witness.wait_until_final([charge_id, refund_id])
    assert town.witness.movements(charge_id) == [("charge", 1999)]
    assert town.witness.movements(refund_id) == [("refund", 500)]
    town.witness.testify()


def test_the_routes_of_the_seed_are_the_routes(town: House, caller: Caller) -> None:
    asked = {"amount": 1999, "currency": "usd", "customer_id": "cus_123", "idempotency_key": "k"}
    charge = caller.post("/charges", json=asked).json()
    assert {"charge_id", "amount", "currency", "state", "customer_id"} <= {*charge}
    assert caller.post("/charges", json=asked).json()["charge_id"] == charge["charge_id"]
    billing.charge.wait(charge["charge_id"])
    assert caller.get(f"/charges/{charge['charge_id']}").json()["state"] == "succeeded"
    refund = caller.post("/refunds", json={"charge_id": charge["charge_id"]}).json()
    assert {"refund_id", "charge_id", "amount", "state"} <= {*refund}
    assert refund["amount"] == 1999
    town.witness.wait_until_final([charge["charge_id"], refund["refund_id"]])
    town.witness.testify()


def test_the_decimals_of_the_samples_are_refused_over_http_with_what_to_send(
    caller: Caller,
) -> None:
    # The samples contradict their own table, by which amounts are in the smallest unit.
    refused = caller.post("/charges", json={"amount": 19.99, "currency": "USD"})
    assert refused.status_code == 400
    assert "for USD 19.99 send amount=1999" in refused.json()["detail"]
