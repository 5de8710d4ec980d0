"""Settings: what is refused, in which words, and what is never said."""

import json
import os
from ipaddress import ip_network
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from service import settings, wiring
from service.network_settings import LOOPBACK
from service.settings import Settings
from service.settings_errors import SettingsError
from service.stripe_settings import secrets_of
from tests.support.every import every

SECRET = "hunter2"


def refusal(monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    with monkeypatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(f"BILLING_{name}", value)
        with pytest.raises(SettingsError) as refused:
            settings.read()
    return str(refused.value)


@every(
    "name, value, expects",
    [
        ("HTTP_PORT", "http", "must be a whole number from 0 (any free one) to 65535"),
        ("HTTP_PORT", "-1", "must be a whole number from 0 (any free one) to 65535"),
        ("SLOTS", "1.5", "must be a whole number from 1 to 1024"),
        ("LOG_FORMAT", "xml", "must be console or json"),
        ("LOG_LEVEL", "INFO!", "must be debug, info, warning or error"),
        ("PROCESSOR", "paypal", "must be the name of one of BILLING_PROCESSORS"),
        ("PROCESSORS", "sandbox,paypal", "must be names of processors separated by commas: "),
        ("PROCESSORS", "sandbox,sandbox", "must be names of processors separated by commas: "),
        ("PROCESSORS", ",", "must be names of processors separated by commas: "),
        ("SANDBOX_LIMITS", "usd:1-5", "must be what the sandbox takes, such as USD:50-99999999"),
        ("SANDBOX_LIMITS", "USD:1", "must be what the sandbox takes, such as USD:50-99999999"),
        ("SANDBOX_LIMITS", "USD:9-5", "must be what the sandbox takes, such as USD:50-99999999"),
        ("PROCESSOR_ROUTES", "sandbox", "must be routes separated by commas, such as stripe:"),
        ("PROCESSOR_ROUTES", "paypal:currency=EUR", "must be routes separated by commas, such as"),
        ("STRIPE_API_KEY", "pk_test_publishable", "must be a key of Stripe's: sk_test_…"),
        ("STRIPE_WEBHOOK_SECRETS", "secret", "must be signing secrets of Stripe's (whsec_…)"),
        ("STRIPE_API_BASE", "http://example.com", "must be https://…, or http://… on this machine"),
        ("STRIPE_API_BASE", "https://u:p@example.com", "must be https://…, or http://… on this"),
        ("STRIPE_API_BASE", "https://example.com/v1", "must be https://…, or http://… on this"),
        ("SANDBOX_LATENCY_MS", "-1", "must be a whole number of milliseconds from 0 to 60000"),
        ("WEBHOOK_ALLOW_PRIVATE", "localhost", "must be networks separated by commas"),
        ("WEBHOOK_ALLOW_PRIVATE", "127.0.0.1/8", "must be networks separated by commas"),
        ("DATABASE_URL", "mysql://u@h/d", "must be a PostgreSQL URL such as"),
        ("DATABASE_URL", "postgresql://u@h:port/d", "must be a PostgreSQL URL such as"),
        ("DATABASE_URL", "postgresql://u@h", "must be a PostgreSQL URL such as"),
        ("BROKER_URL", "kafka://h", "must be a broker URL with host"),
        ("BROKER_URL", "redis://", "must be a broker URL with host"),
        ("LEASE_S", "soon", "must be seconds"),
        ("HTTP_HOSTS", "https://billing.example.com", "must be names under which clients ask"),
        ("HTTP_HOSTS", "billing.example.com:443", "must be names under which clients ask"),
        ("HTTP_HOSTS", "*.example.com", "must be names under which clients ask"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_and_what_it_expects(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expects: str
) -> None:
    assert refusal(monkeypatch, **{name: value}).startswith(f"BILLING_{name} {expects}")


def test_stripe_is_refused_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "BILLING_STRIPE_API_KEY must be set" in refusal(monkeypatch, PROCESSORS="stripe")


def test_keys_of_stripe_do_not_show_and_reach_the_processes_that_are_started() -> None:
    key, secret = "sk_test_4eC39HqLyjWD", "whsec_4eC39HqLyjWD"
    given = Settings(
        processors=("stripe",),
        stripe_api_key=SecretStr(key),
        stripe_webhook_secrets=SecretStr(f"{secret},{secret}2"),
    )
    assert key not in f"{given!r} {given}"
    assert secret not in f"{given!r} {given}"
    assert settings.environ_of(given)["BILLING_STRIPE_API_KEY"] == key
    assert secrets_of(given.stripe_webhook_secrets) == (secret, f"{secret}2")


@every(
    "key, livemode",
    [
        ("sk_test_4eC39HqLyjWD", False),
        ("rk_test_4eC39HqLyjWD", False),
        ("sk_live_4eC39HqLyjWD", True),
        ("rk_live_4eC39HqLyjWD", True),
    ],
)
def test_the_prefix_of_stripes_key_says_whether_money_is_real(key: str, livemode: bool) -> None:
    given = Settings(processors=("stripe",), stripe_api_key=SecretStr(key))
    assert wiring.livemode(given) is livemode


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, HTTP_PORT="x", SLOTS="x", LOG_FORMAT="x")
    assert len(said.splitlines()) == 3


def test_no_value_is_ever_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = f"mysql://user:{SECRET}@host/name"
    names = [name.upper() for name, field in Settings.model_fields.items() if name != "data_dir"]
    assert SECRET not in refusal(monkeypatch, **dict.fromkeys(names, wrong))


def test_urls_do_not_show_when_settings_are_printed() -> None:
    given = Settings(
        database_url=f"postgresql://user:{SECRET}@host/name", broker_url=f"redis://:{SECRET}@host"
    )
    assert SECRET not in repr(given)
    assert SECRET not in str(given)


def test_a_call_that_outlives_its_lease_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, LEASE_S="5", CALL_DEADLINE_S="5")
    assert said == "BILLING_CALL_DEADLINE_S must be below half of BILLING_LEASE_S"


def test_a_misspelled_variable_is_refused_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = refusal(monkeypatch, DATABSE_URL=f"postgresql://user:{SECRET}@host/name")
    assert said == "BILLING_DATABSE_URL is not a setting; did you mean BILLING_DATABASE_URL?"


@every("name", ["URL", "API_KEY", "PORT", "SERVICE_HOST", "PORT_8000_TCP"])
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"BILLING_{name}", "anything")
    settings.read()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_HTTP_PORT", "")
    assert settings.read().http_port == 8000


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_every_spelling_of_a_postgresql_url_gets_our_driver(scheme: str) -> None:
    given = Settings(database_url=f"{scheme}://u:p@h:5432/d?sslmode=require")
    assert given.database_url == "postgresql+psycopg://u:p@h:5432/d?sslmode=require"


def test_networks_are_read_from_a_list_with_commas() -> None:
    given = Settings(webhook_allow_private="127.0.0.0/8, ::1/128,")  # type: ignore[arg-type]
    assert given.webhook_allow_private == (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def test_host_names_are_read_from_a_list_with_commas() -> None:
    given = Settings(http_hosts="billing.example.com, .internal, ::1,")  # type: ignore[arg-type]
    assert given.http_hosts == ("billing.example.com", ".internal", "::1")


def test_settings_survive_the_way_into_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        database_url="postgresql://u:p@h/d",
        webhook_allow_private=LOOPBACK,
        http_hosts=("billing.example.com", ".internal"),
        approve_refunds_above={"USD": 500, "*": 0},
        slots=7,
        lease_s=2.5,
        call_deadline_s=1,
    )
    for name, value in settings.environ_of(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


def test_urls_of_what_runs_in_the_data_folder_are_found(tmp_path: Path) -> None:
    announce(tmp_path, started_at=psutil.Process().create_time())
    found = settings.load(data_dir=tmp_path)
    assert (found.database_url, found.broker_url) == ("postgresql+psycopg://d", "redis://b")


def test_a_url_that_is_set_wins_over_what_runs_in_the_folder(tmp_path: Path) -> None:
    announce(tmp_path, started_at=psutil.Process().create_time())
    found = settings.load(data_dir=tmp_path, broker_url="amqp://elsewhere")
    assert found.broker_url == "amqp://elsewhere"


def test_what_runs_in_the_folder_tells_where_webhooks_may_go(tmp_path: Path) -> None:
    started_at = psutil.Process().create_time()
    announce(tmp_path, started_at=started_at, webhook_allow_private="127.0.0.0/8,::1/128")
    assert settings.load(data_dir=tmp_path).webhook_allow_private == LOOPBACK
    own = settings.load(data_dir=tmp_path, webhook_allow_private="10.0.0.0/8")
    assert own.webhook_allow_private == (ip_network("10.0.0.0/8"),)


def test_a_database_from_elsewhere_is_not_told_where_webhooks_may_go(tmp_path: Path) -> None:
    started_at = psutil.Process().create_time()
    announce(tmp_path, started_at=started_at, webhook_allow_private="127.0.0.0/8,::1/128")
    found = settings.load(data_dir=tmp_path, database_url="postgresql://u:p@h/d")
    assert found.webhook_allow_private == ()


def test_what_a_process_left_that_is_gone_counts_as_nothing(tmp_path: Path) -> None:
    announce(tmp_path, started_at=1.0)  # the pid is ours, but we started later than 1970
    with pytest.raises(SettingsError, match="nothing is running in"):
        settings.load(data_dir=tmp_path)


def test_nothing_running_is_said_with_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        settings.load(data_dir=tmp_path / ".billing")
    assert str(refused.value).startswith(f"nothing is running in {tmp_path}/.billing: ")
    assert "start it with `billing up`, or set BILLING_DATABASE_URL" in str(refused.value)


def test_a_damaged_announcement_is_named(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text("{")
    with pytest.raises(SettingsError, match="damaged"):
        settings.load(data_dir=tmp_path)


def announce(folder: Path, *, started_at: float, **more: str) -> None:
    facts = {
        "owner": {"pid": os.getpid(), "started_at": started_at},
        "database_url": "postgresql+psycopg://d",
        "broker_url": "redis://b",
        **more,
    }
    (folder / "running.json").write_text(json.dumps(facts))
