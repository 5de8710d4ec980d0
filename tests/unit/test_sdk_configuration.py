"""Where the SDK sends: what it is told, what the environment says, and nothing by guess."""

import subprocess
import sys

import pytest

from infra import billing
from infra.billing import client


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch):
    monkeypatch.setattr(client, "_current", client.Client(None))


def test_unconfigured_it_says_what_to_set():
    with pytest.raises(billing.NotConfigured, match="Set BILLING_URL, or call"):
        billing.charge.create(amount=1, currency="USD")


def test_the_environment_configures_it(monkeypatch):
    monkeypatch.setenv("BILLING_URL", "redis://broker:6379/1")
    monkeypatch.setenv("BILLING_API_KEY", "bk_1")
    configured = client.configuration()
    assert (configured.url, configured.api_key) == ("redis://broker:6379/1", "bk_1")
    assert client.configuration(url="amqp://rabbit").url == "amqp://rabbit"


@pytest.mark.parametrize(
    "url",
    ["broker:6379", "redis://", "redis://:hunter2@", "redis://h:port", "mongodb://h", "http://"],
)
def test_a_url_that_cannot_be_used_is_refused_at_once_and_not_repeated(url):
    with pytest.raises(billing.NotConfigured) as refused:
        billing.configure(url=url)
    assert refused.value.param == "url"
    assert "redis://…" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(timeout_s):
    with pytest.raises(billing.NotConfigured):
        billing.configure(url="redis://broker", timeout_s=timeout_s)


def test_a_producer_is_a_short_name():
    with pytest.raises(billing.InvalidRequest, match="letters, digits"):
        billing.configure(url="redis://broker", producer="my shop")


@pytest.mark.parametrize(
    "read",
    [
        lambda: billing.charge.get(id="ch_1"),
        lambda: billing.charge.wait(id="ch_1"),
        lambda: billing.charge.list(state="pending"),
        lambda: billing.refund.get(id="re_1"),
        lambda: billing.refund.wait(id="re_1"),
        lambda: billing.refund.list(charge_id="ch_1"),
    ],
)
def test_reading_over_a_broker_says_that_it_needs_http(read):
    billing.configure(url="redis://127.0.0.1:1")
    with pytest.raises(billing.ReadingNeedsHttp, match="configure an http:// or https:// url"):
        read()


def test_wrong_arguments_fail_before_anything_is_sent():
    billing.configure(url="redis://127.0.0.1:1")  # nobody listens there
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.charge.create(amount=19.99, currency="USD")
    assert refused.value.param == "amount"
    assert "for USD 19.99 send amount=1999" in str(refused.value)
    with pytest.raises(billing.InvalidRequest, match="charge_id is required"):
        billing.refund.create(charge_id=None)


def test_every_error_is_a_billing_error_with_a_code_of_its_own():
    errors = [
        billing.InvalidRequest, billing.NotConfigured, billing.ReadingNeedsHttp,
        billing.Unavailable, billing.InvalidSignature,
    ]  # fmt: skip
    assert all(issubclass(error, billing.BillingError) for error in errors)
    assert len({error.code for error in errors}) == len(errors)
    for error in errors:
        assert error.__name__ in billing.errors.__doc__
        assert error.code in billing.errors.__doc__


def test_a_receiver_of_webhooks_loads_neither_kombu_nor_anything_of_the_service():
    code = (
        "import sys; from infra import billing; billing.webhook.verify\n"
        "found = {'kombu', 'celery', 'redis', 'iso4217', 'models', 'payments', 'worker'}\n"
        "print(sorted(found & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
