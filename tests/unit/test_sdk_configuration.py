"""Where the SDK sends: what it is told, what the environment says, and nothing by guess."""

import pickle
import re
import subprocess
import sys
from datetime import datetime

import pytest

from infra import billing
from infra.billing import client
from infra.billing.base_url import root
from tests.support.every import every

pytestmark = pytest.mark.usefixtures("unconfigured")


def test_unconfigured_it_says_what_to_set():
    with pytest.raises(billing.NotConfigured, match="Set BILLING_URL, or call"):
        billing.charge.create(amount=1, currency="USD")


def test_the_environment_configures_it(monkeypatch):
    monkeypatch.setenv("BILLING_URL", "redis://broker:6379/1")
    monkeypatch.setenv("BILLING_API_KEY", "bk_1")
    configured = client.configuration()
    assert (configured.url, configured.api_key) == ("redis://broker:6379/1", "bk_1")
    assert client.configuration(url="amqp://rabbit").url == "amqp://rabbit"


@every(
    "url",
    ["broker:6379", "redis://", "redis://:hunter2@", "redis://h:port", "mongodb://h", "http://"],
)
def test_a_url_that_cannot_be_used_is_refused_at_once_and_not_repeated(url):
    with pytest.raises(billing.NotConfigured) as refused:
        billing.configure(url=url)
    assert refused.value.param == "url"
    assert "redis://…" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@every("timeout_s", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_timeout_is_above_zero(timeout_s):
    with pytest.raises(billing.NotConfigured):
        billing.configure(url="redis://broker", timeout_s=timeout_s)


def test_a_producer_is_a_short_name():
    with pytest.raises(billing.InvalidRequest, match="letters, digits"):
        billing.configure(url="redis://broker", producer="my shop")


@every(
    "read",
    [
        lambda: billing.charge.get(id="ch_1"),
        lambda: billing.charge.wait(id="ch_1"),
        lambda: billing.charge.list(state="pending"),
        lambda: billing.refund.get(id="re_1"),
        lambda: billing.refund.wait(id="re_1"),
        lambda: billing.refund.list(charge_id="ch_1"),
        lambda: billing.charge.timeline("ch_1"),
        lambda: billing.event.list(after=0),
        billing.endpoint.list,
        lambda: billing.endpoint.create(url="https://shop.example/hook"),
        lambda: billing.endpoint.delete("we_1"),
        lambda: billing.product.create(name="Widget"),
        lambda: billing.product.list(active=True),
        lambda: billing.price.retrieve("standard"),
        lambda: billing.price.inventory("standard", quantity=1, action="decrement"),
        lambda: billing.price.delete("standard"),
        lambda: billing.price.quote("standard", quantity=1),
        billing.currency.list,
        lambda: billing.charge.create(amount=1, currency="USD", wait_s=5),
    ],
)
def test_reading_over_a_broker_says_that_it_needs_http(read):
    billing.configure(url="redis://127.0.0.1:1")
    with pytest.raises(billing.ReadingNeedsHttp, match="configure an http:// or https:// url"):
        read()


@every(
    "ask, what",
    [
        (lambda: billing.product.create(name="Widget"), "Products"),
        (lambda: billing.product.retrieve("prod_1"), "Products"),
        (
            lambda: billing.price.create(
                product_id="prod_" + "a" * 32, currency_id="cur_usd", unit_amount=5
            ),
            "Prices",
        ),
        (lambda: billing.price.retrieve("standard"), "Prices"),
        (lambda: billing.price.quote("standard", quantity=1), "Prices"),
        (billing.currency.list, "Currencies"),
    ],
)
def test_over_a_broker_prices_say_that_they_need_the_service_itself(ask, what):
    billing.configure(url="redis://127.0.0.1:1")
    with pytest.raises(billing.ReadingNeedsHttp) as refused:
        ask()
    assert str(refused.value) == (
        f"{what} need the service itself, and a broker takes charges and refunds only;"
        " configure an http:// or https:// url (BILLING_URL), and an API key."
    )


def test_wrong_arguments_fail_before_anything_is_sent():
    billing.configure(url="redis://127.0.0.1:1")  # nobody listens there
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.charge.create(amount=19.99, currency="USD")
    assert refused.value.param == "amount"
    assert "for USD 19.99 send amount=1999" in str(refused.value)
    with pytest.raises(billing.InvalidRequest, match="charge_id is required"):
        billing.refund.create(charge_id=None)


@every(
    "given, param",
    [
        ({}, "api_key"),
        ({"api_key": "bk 1"}, "api_key"),
        ({"api_key": "bk_1\n"}, "api_key"),
        ({"api_key": "bk_é"}, "api_key"),
        ({"api_key": "bk_1", "producer": "shop"}, "producer"),
        ({"api_key": "bk_1", "url": "https://u:hunter2@billing"}, "url"),
        ({"api_key": "bk_1", "url": "https://billing/?key=hunter2"}, "url"),
        ({"api_key": "bk_1", "url": "https://billing/#hunter2"}, "url"),
        ({"api_key": "bk_1", "url": "https://billing..example"}, "url"),
    ],
)
def test_what_http_cannot_use_is_refused_by_name(given, param):
    with pytest.raises(billing.NotConfigured) as refused:
        billing.configure(**{"url": "https://billing.example", **given})
    assert refused.value.param == param
    for secret in ("hunter2", "bk"):
        assert secret not in str(refused.value)


@every(
    "url, shown, path",
    [
        ("http://billing", "http://billing", "/v1/billing"),
        ("HTTP://Billing:80/", "http://billing", "/v1/billing"),
        ("https://billing:8443/pay", "https://billing:8443", "/pay/v1/billing"),
        ("https://bücher.example/v1/billing", "https://xn--bcher-kva.example", "/v1/billing"),
        ("http://[::1]:8000", "http://[::1]:8000", "/v1/billing"),
    ],
)
def test_where_the_service_is(url, shown, path):
    assert (str(root(url)), root(url).path) == (shown, path)


def test_over_http_the_default_producer_is_no_producer():
    billing.configure(url="https://billing.example", api_key="bk_1", producer="default")


def test_secrets_do_not_show_in_a_configuration():
    configured = client.configuration(url="redis://:hunter2@broker", api_key="bk_1")
    assert repr(configured) == "Configuration(timeout_s=10.0, producer='default')"


def wrong(call):
    with pytest.raises(billing.InvalidRequest) as refused:
        call()
    return refused.value.param


def test_wrong_questions_fail_before_anything_is_sent():
    billing.configure(url="http://127.0.0.1:1", api_key="bk_1")  # nobody listens there
    now = datetime.now()  # noqa: DTZ005  # without a zone: that is what is wrong with it
    assert wrong(lambda: billing.charge.list(created_after=now)) == "created_after"
    assert wrong(lambda: billing.charge.list(reference="4242 4242 4242 4242")) == "reference"
    assert wrong(lambda: billing.refund.list(state=b"pending")) == "state"
    assert wrong(lambda: billing.charge.wait("ch_1", timeout_s=-1)) == "timeout_s"
    assert wrong(lambda: billing.charge.wait("ch_1", timeout_s=float("nan"))) == "timeout_s"
    assert wrong(lambda: billing.charge.get(None)) == "id"
    assert wrong(lambda: billing.endpoint.replay("we_1", since=now)) == "since"
    url = "https://example.com/4242424242424242"
    assert wrong(lambda: billing.endpoint.create(url=url)) == "url"


def test_wrong_questions_about_prices_fail_before_anything_is_sent():
    billing.configure(url="http://127.0.0.1:1", api_key="bk_1")  # nobody listens there
    assert wrong(lambda: billing.price.update("", nickname="x")) == "id"
    assert wrong(lambda: billing.price.retrieve("..")) == "id"
    assert wrong(lambda: billing.currency.retrieve(None)) == "id"
    assert wrong(lambda: billing.product.create(name="4242 4242 4242 4242")) == "name"


@every("name", ["a/b", "/", "..", "."])
@every(
    "ask, whose",
    [
        (billing.price.retrieve, "of a price, or its lookup key"),
        (lambda name: billing.price.update(name, nickname="x"), "of a price, or its lookup key"),
        (
            lambda name: billing.price.inventory(name, quantity=1, action="increment"),
            "of a price, or its lookup key",
        ),
        (billing.price.archive, "of a price, or its lookup key"),
        (billing.price.delete, "of a price, or its lookup key"),
        (lambda name: billing.price.quote(name, quantity=1), "of a price, or its lookup key"),
        (billing.product.retrieve, "of a product"),
        (lambda name: billing.product.update(name, name="x"), "of a product"),
        (billing.product.archive, "of a product"),
        (billing.product.delete, "of a product"),
        (billing.currency.retrieve, "of a currency, like cur_usd"),
    ],
)
def test_what_can_not_be_the_name_of_one_is_not_asked_for(ask, whose, name):
    billing.configure(url="http://127.0.0.1:1", api_key="bk_1")  # nobody listens there
    with pytest.raises(billing.InvalidRequest) as refused:
        ask(name)
    said = f"id must be that {whose}: it must hold no slash, and be more than dots"
    assert (refused.value.param, str(refused.value)) == ("id", said)


def _below(kind):
    return [one for child in kind.__subclasses__() for one in (child, *_below(child))]


def test_every_error_is_a_billing_error_with_a_code_of_its_own_and_stands_in_the_tree():
    errors = _below(billing.BillingError)
    assert len(errors) == 33
    assert len({error.code for error in errors}) == len(errors)
    for error in errors:
        assert getattr(billing, error.__name__) is error
        assert re.search(rf"─ {error.__name__} +{error.code} ", billing.errors.__doc__)


def test_an_error_survives_a_queue_between_processes():
    error = billing.RateLimited("later", status=429, idempotency_key="k", facts={"a": 1})
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # what we pickled ourselves
    assert (str(again), again.status, again.idempotency_key) == ("later", 429, "k")
    assert again.facts == {"a": 1}


def test_a_receiver_of_webhooks_loads_neither_kombu_nor_anything_of_the_service():
    code = (
        "import sys; from infra import billing; billing.webhook.verify\n"
        "found = {'kombu', 'celery', 'redis', 'iso4217', 'models', 'payments', 'worker'}\n"
        "print(sorted(found & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
