"""Broker URLs: what they mean, why some are refused, and how they are shown."""

import ssl

import pytest
from celery import Celery
from kombu import Connection

from infra.billing import brokers
from infra.billing.broker_publisher import Post
from infra.billing.brokers import Broker, BrokerUrlError, parse, scrub
from service import log
from service.broker import connections
from service.broker.celery_config import configuration
from service.settings import Settings, read
from service.settings_errors import SettingsError
from tests.support.every import every
from worker.transport import redis_transport

SENTINEL = (
    "sentinel://bob:hunter%2F2@h1:26379;h2:1;[::1]/3"
    "?master_name=till&sentinel_password=hunter3&min_other_sentinels=1"
)


@every(
    "url, ways, place",
    [
        ("redis://:pw@h:1/0", ["redis://:pw@h:1/0"], "redis://h:1"),
        ("rediss://h/0?ssl_cert_reqs=none", ["rediss://h/0?ssl_cert_reqs=none"], "rediss://h"),
        ("amqp://u:p@h:1/v", ["amqp://u:p@h:1/v"], "amqp://h:1"),
        ("amqp://u:p@h1/v;amqp://h2", ["amqp://u:p@h1/v", "amqp://u:p@h2/v"], "amqp://h1,h2"),
        ("amqp://u:p@h1/v;h2:7;", ["amqp://u:p@h1/v", "amqp://u:p@h2:7/v"], "amqp://h1,h2:7"),
        (
            "amqps://u:p@h1/v;amqps://w:q@h2/x",
            ["amqps://u:p@h1/v", "amqps://w:q@h2/x"],
            "amqps://h1,h2",
        ),
    ],
)
def test_each_address_of_a_list_is_whole(url, ways, place):
    broker = parse(url)
    assert (broker.ways, broker.place) == (ways, place)


def test_sentinels_are_asked_with_all_that_is_needed_at_each_of_them():
    broker = parse(SENTINEL)
    user = "bob:hunter%2F2@"
    assert broker.url == (
        f"sentinel://{user}h1:26379/3;sentinel://{user}h2:1/3;sentinel://{user}[::1]:26379/3"
    )
    assert broker.options == {
        "master_name": "till",
        "min_other_sentinels": 1,
        "sentinel_kwargs": {"password": "hunter3"},
    }
    assert broker.ssl is None
    assert broker.place == "sentinel://h1:26379,h2:1,[::1], till"
    limits = broker.with_limits(timeout_s=3)
    assert limits["socket_timeout"] == limits["sentinel_kwargs"]["socket_timeout"] == 3


def test_tls_to_sentinels_checks_certificates():
    broker = parse("sentinel://h/0?master_name=m&tls=true&ssl_ca_certs=/ca.pem")
    tls = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/ca.pem"}
    assert broker.ssl == tls
    assert broker.options["sentinel_kwargs"] == {"ssl": True, **tls}


@every(
    "url, why",
    [
        ("redis://:hunter2@h1;redis://:hunter2@h2", "use sentinel://h1:26379"),
        ("amqp://u:hunter2@h1;redis://h2", "different kinds"),
        ("amqp://u:hunter2@h1;amqps://h2", "different kinds"),
        ("amqp://u:hunter2@h1;amqp://", "an address without a host"),
        ("sentinel://:hunter2@h1;redis://h2/0?master_name=m", "something else"),
        ("sentinel://:hunter2@h1:26379", "?master_name=NAME"),
        ("sentinel://h/x?master_name=hunter2", "database"),
        ("sentinel://h/0?master_name=m&hunter2=1", "1 unknown options"),
        ("sentinel://h/0?master_name=m&tls=hunter2", "tls"),
        ("sentinel://h/0?master_name=m&min_other_sentinels=hunter2", "min_other_sentinels"),
        ("kafka://hunter2", "must begin with one of redis://"),
        ("redis://:hunter2@", "no host"),
        ("amqp://h:hunter2", "port"),
        ("amqp://[hunter2", "no URL"),
        ("", "must begin with"),
    ],
)
def test_what_can_not_be_used_is_refused_with_the_reason_and_without_the_secret(
    url, why, monkeypatch
):
    with pytest.raises(BrokerUrlError) as refused:
        parse(url)
    assert why in str(refused.value)
    assert "hunter2" not in str(refused.value)
    if url:
        monkeypatch.setenv("BILLING_BROKER_URL", url)
        with pytest.raises(SettingsError) as at_start:
            read()
        assert str(at_start.value).startswith("BILLING_BROKER_URL must be a broker URL with host")
        assert why in str(at_start.value)
        assert "hunter2" not in str(at_start.value)


@pytest.mark.parametrize("url", ["redis://:hunter2@h:1/0", SENTINEL, "amqp://u:hunter2@h1;h2"])
def test_the_app_knows_the_broker_that_it_was_configured_for(url):
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=url)))
    known = connections.broker(app)
    assert (known.url, known.ways) == (parse(url).url, parse(url).ways)
    assert known.options.get("master_name") == parse(url).options.get("master_name")
    connection = app.connection_for_write()
    assert len(connection.alt or [""]) == len(parse(url).url.split(";"))
    assert "hunter" not in repr(connection)
    assert "hunter" not in str(log.scrubbed(connection.info()["alternates"]))
    assert "hunter" not in repr(app.conf.humanize(with_defaults=False))


def test_a_sentinel_url_means_our_transport():
    redis_transport.register()
    broker = parse(SENTINEL)
    connection = Connection(broker.url, transport_options=dict(broker.options))
    assert isinstance(connection.transport, redis_transport.SentinelTransport)


@every(
    "text, told",
    [
        ("amqp://u:hunter2@h1;amqp://v:hunter2@h2/x", "amqp://u:***@h1;amqp://v:***@h2/x"),
        ("amqp://u:hunter2@h1;v:hunter2@h2", "amqp://u:***@h1;v:***@h2"),
        ("at redis://:hunter2@h:1/0, and on", "at redis://:***@h:1/0, and on"),
        ("redis://:hun/ter2@h", "redis://:***@h"),
        ("redis://:hun@ter2@h", "redis://:***@h"),
        ("redis://:hun?ter2#x@h/0", "redis://:***@h/0"),
        ("sentinel://h/0?sentinel_password=hunter2&a=1", "sentinel://h/0?sentinel_password=***&a=1"),
        ("redis://h/0?Pass%57ord=hunter2", "redis://h/0?Pass%57ord=***"),
        ("postgresql+psycopg://b:hunter2@h1,h2:1/n?host=x", "postgresql+psycopg://b:***@h1,h2:1/n?host=x"),
        ("postgresql://b:hunter2@/n?host=h1:1&host=h2:2", "postgresql://b:***@/n?host=h1:1&host=h2:2"),
        ("https://hunter2@shop.test/a@b?token=hunter2&x=1", "https://***@shop.test/a@b?token=***&x=1"),
        ("{'a': 'redis://:hunter2@h', 'b': \"amqp://u:hunter2@h\"}", "{'a': 'redis://:***@h', 'b': \"amqp://u:***@h\"}"),
        ("nothing:secret@here", "nothing:secret@here"),
    ],
)  # fmt: skip
def test_every_url_is_shown_without_its_secrets(text, told):
    assert scrub(text) == told
    assert log.scrub(text) == told


def test_a_broker_hides_its_password_wherever_it_is_shown():
    for url in (SENTINEL, "amqp://u:hunter2@h1;amqp://v:hunter3@h2", "redis://:hunter2@h"):
        assert "hunter" not in repr(parse(url))
        post = Post(url, timeout_s=1)
        assert "hunter" not in post.where()
        post.close()


def test_long_words_are_scrubbed_in_no_time():
    """A search that begins anew at every letter would take minutes."""
    assert scrub("a" * 300_000) == "a" * 300_000


def test_all_schemes_of_the_sdk_are_those_of_the_service():
    assert {f"{scheme}" for scheme in redis_transport.SCHEMES} | {"amqp", "amqps"} == set(
        brokers.SCHEMES
    )
    assert isinstance(parse("redis://h"), Broker)
