"""The samples that the product was asked for with, at a service that says what the test wants."""

import pytest

from infra import billing
from tests.support.scripted import PENDING, Says, problem, scripted_service
from tests.support.seeds import (
    ARCHIVE_PRICE,
    CREATE,
    CREATE_PRICE,
    DELETE_PRICE,
    GET,
    GET_PRICE,
    LIST_PRICES,
    REFUND,
    TAKE_FROM_STOCK,
    UPDATE_PRICE,
    run,
)

CHARGE_ID = "ch_" + "a" * 32
# What the sample of prices answers with.
PRICE = {
    "id": "price_xxxxxxxxxxxxxx",
    "object": "price",
    "product_id": "prod_xxxxxxxxxxxxxx",
    "nickname": "Standard Monthly Plan",
    "active": True,
    "livemode": False,
    "type": "recurring",
    "billing_scheme": "per_unit",
    "unit_amount": "2000",
    "recurring": {"interval": "month", "interval_count": 1},
    "currency_id": "cur_xxxxxxxxxxxxxx",
    "product": {"id": "prod_xxxxxxxxxxxxxx", "name": "My SaaS Product"},
    "currency": {"id": "cur_xxxxxxxxxxxxxx", "name": "US Dollar"},
}


@pytest.fixture
def service(unconfigured, monkeypatch):
    with scripted_service() as running:
        monkeypatch.setenv("BILLING_URL", running.url)
        monkeypatch.setenv("BILLING_API_KEY", "bk_1")
        yield running


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
    run(REFUND.replace("5.0", "500").replace("ch_...", CHARGE_ID))
    assert capsys.readouterr().out == "refund: re_1 | state: pending\n"
    assert service.asked[0].body == {"charge_id": CHARGE_ID, "amount": 500}


REFUSED = problem(400, "invalid_request", detail="the service says why", param="amount")


@pytest.mark.parametrize(
    ("sample", "sent"),
    [(CREATE, {"amount": 19.99}), (REFUND, {"amount": 5.0, "charge_id": "ch_..."})],
)
def test_what_the_samples_say_wrong_is_for_the_service_to_refuse(service, sample, sent):
    # The samples contradict their own table, by which amounts are in the smallest unit, and one
    # leaves the id of a charge out. The amount goes as it is written, so that it is judged so.
    service.will(REFUSED)
    with pytest.raises(billing.InvalidRequest, match="the service says why") as refused:
        run(sample)
    assert refused.value.param == "amount"
    assert sent.items() <= service.asked[0].body.items()
    assert type(service.asked[0].body["amount"]) is float


def test_the_signatures_of_the_seed_are_taken_as_they_are(service):
    charge_id = CHARGE_ID
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


def test_a_price_is_created_and_read_as_the_sample_does(service, capsys):
    service.will(Says(201, PRICE))
    # Our ids are longer, and a currency's is made of its code.
    product_id = "prod_" + "x" * 32
    sample = CREATE_PRICE.replace("prod_xxxxxxxxxxxxxx", product_id)
    run(sample.replace("cur_xxxxxxxxxxxxxx", "cur_usd"))
    assert capsys.readouterr().out == (
        "price: price_xxxxxxxxxxxxxx | My SaaS Product | US Dollar\n"
    )
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/billing/prices")
    assert asked.body.pop("idempotency_key")
    assert asked.body == {
        "product_id": product_id,
        "nickname": "Standard Monthly Plan",
        "unit_amount": "2000",
        "currency_id": "cur_usd",
        "type": "recurring",
        "recurring": {"interval": "month", "interval_count": 1},
        "active": True,
    }


@pytest.mark.parametrize(
    ("sample", "told", "method", "path", "body", "said"),
    [
        (GET_PRICE, PRICE, "GET", "", None, "price: Standard Monthly Plan"),
        (
            UPDATE_PRICE,
            {**PRICE, "nickname": "Updated Standard Plan Name"},
            "PUT",
            "",
            {"nickname": "Updated Standard Plan Name"},
            "price: Updated Standard Plan Name",
        ),
        (
            ARCHIVE_PRICE,
            {**PRICE, "active": False},
            "PUT",
            "/archive",
            None,
            "price: price_xxxxxxxxxxxxxx | active: False",
        ),
        (
            DELETE_PRICE,
            {"id": PRICE["id"], "object": "price", "deleted": True},
            "DELETE",
            "",
            None,
            "deleted: price_xxxxxxxxxxxxxx",
        ),
    ],
)
def test_a_price_is_kept_as_the_samples_do(service, capsys, sample, told, method, path, body, said):
    service.will(Says(200, told))
    run(sample)
    assert capsys.readouterr().out == f"{said}\n"
    (asked,) = service.asked
    assert (asked.method, asked.body) == (method, body)
    assert asked.path == f"/v1/billing/prices/price_xxxxxxxxxxxxxx{path}"


def test_prices_are_listed_as_the_sample_does(service, capsys):
    service.will(Says(200, {"count": 1, "list": [PRICE]}))
    run(LIST_PRICES)
    assert capsys.readouterr().out == "prices: 1 | ['Standard Monthly Plan']\n"
    query = {"product_id": ["prod_xxxxxxxxxxxxxx"], "active": ["true"], "pageSize": ["5"]}
    assert service.asked[0].query == query


def test_stock_is_taken_as_the_sample_does(service, capsys):
    service.will(Says(200, {**PRICE, "quantity_available": 9}))
    run(TAKE_FROM_STOCK)
    assert capsys.readouterr().out == "left: 9\n"
    (asked,) = service.asked
    assert asked.path == "/v1/billing/prices/price_xxxxxxxxxxxxxx/inventory"
    assert asked.body.pop("idempotency_key")
    assert asked.body == {"quantity": 1, "action": "decrement"}
