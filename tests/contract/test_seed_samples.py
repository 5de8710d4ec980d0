"""The samples that the product was asked for with, at a service that says what the test wants."""

import pytest

from infra import billing
from infra.billing import client
from tests.support.scripted import PENDING, Says, scripted_service
from tests.support.seeds import CREATE, GET, REFUND, run


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(client, "_current", client.Client(None))
    with scripted_service() as running:
        monkeypatch.setenv("BILLING_URL", running.url)
        monkeypatch.setenv("BILLING_API_KEY", "bk_1")
        yield running
    client._current.close()


def test_a_charge_is_created_and_read_as_the_sample_does(service, capsys):
    run(CREATE.replace("19.99", "1999"))
    assert capsys.readouterr().out == "charge: ch_1 | state: pending\n"
    assert service.asked[0].path == "/v1/billing/charges"
    assert service.asked[0].body == {"amount": 1999, "currency": "USD", "customer_id": "cus_123"}


def test_a_charge_is_found_as_the_sample_does(service, capsys):
    service.will(Says(200, PENDING))
    run(GET)
    assert capsys.readouterr().out == "state: pending | amount: 1999\n"
    assert service.asked[0].path == "/v1/billing/charges/ch_..."


def test_a_refund_is_created_and_read_as_the_sample_does(service, capsys):
    service.will(Says(202, {"refund_id": "re_1", "state": "pending"}))
    run(REFUND.replace("5.0", "500"))
    assert capsys.readouterr().out == "refund: re_1 | state: pending\n"
    assert service.asked[0].body == {"charge_id": "ch_...", "amount": 500}


@pytest.mark.parametrize(
    ("sample", "fix"),
    [
        (CREATE, "for USD 19.99 send amount=1999"),
        (REFUND, "send an integer"),
    ],
)
def test_the_decimals_of_the_samples_are_refused_with_what_to_send(service, sample, fix):
    # The samples contradict their own table, by which amounts are in the smallest unit.
    with pytest.raises(billing.InvalidRequest, match=fix) as refused:
        run(sample)
    assert refused.value.param == "amount"
    assert service.asked == []


def test_the_signatures_of_the_seed_are_taken_as_they_are(service):
    charge_id = "ch_1"
    billing.charge.create(
        amount=1, currency="USD", customer_id=None, payment_method_id=None, idempotency_key=None
    )
    billing.charge.get(id=charge_id)
    service.will(Says(202, {"refund_id": "re_1", "state": "pending"}))
    billing.refund.create(charge_id=charge_id, amount=None, idempotency_key=None)
    assert [one.method for one in service.asked] == ["POST", "GET", "POST"]


def test_what_the_seed_says_comes_back_comes_back(service):
    charge = billing.charge.create(amount=1, currency="USD")
    assert isinstance(charge, dict | billing.Charge)
    assert charge.charge_id == charge["charge_id"] == charge.get("charge_id")
