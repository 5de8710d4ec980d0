"""The Celery configuration for each kind of broker."""

import ssl
from dataclasses import dataclass

import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten

from service.broker.celery_config import DEAD, configuration, dead_letters
from tests.support.every import every


@dataclass
class Settings:
    broker_url: str = "redis://:hunter2@127.0.0.1:6379/0"
    slots: int = 64
    shutdown_s: float = 20.0
    lease_s: float = 25.0
    extra_queues: tuple[str, ...] = ()


def _app(url: str) -> Celery:
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=url)))
    return app


BROKERS = [
    "redis://:hunter2@127.0.0.1:6379/0",
    "rediss://:hunter2@127.0.0.1:6379/0",
    "amqp://guest:hunter2@127.0.0.1:5672//",
    "amqps://guest:hunter2@127.0.0.1:5671//",
]


@every("url", BROKERS)
def test_every_name_is_one_that_celery_knows(url):
    known = {name for name, _ in flatten(NAMESPACES)} | {"visibility_timeout"}
    assert set(configuration(Settings(broker_url=url))) <= known


@every("url", BROKERS)
def test_tasks_find_their_queue_by_name(url):
    route = _app(url).amqp.router.route
    assert route({}, "billing.webhook.drain")["queue"].name == "webhooks"
    assert route({}, "billing.charge.create")["queue"].name == "payments"
    assert route({}, "billing.refund.submit")["queue"].name == "payments"


@every("url", BROKERS)
def test_the_password_is_not_shown(url):
    app = _app(url)
    assert "hunter2" not in str(app.conf.table(with_defaults=True))
    assert "hunter2" not in app.connection_for_read().as_uri()
    assert "hunter2" not in app.bugreport()


@every("url", BROKERS)
def test_two_queues_are_read_and_no_other_is_made(url):
    app = _app(url)
    assert set(app.amqp.queues.consume_from) == {"payments", "webhooks"}
    with pytest.raises(KeyError):
        app.amqp.queues["paymnets"]


def test_rabbitmq_queues_lose_nothing_silently():
    queue = _app(BROKERS[2]).amqp.queues["payments"]
    assert queue.durable
    assert queue.queue_arguments["x-queue-type"] == "quorum"
    assert queue.queue_arguments["x-dead-letter-routing-key"] == DEAD == dead_letters().name
    assert queue.queue_arguments["x-overflow"] == "reject-publish"
    assert queue.queue_arguments["x-delivery-limit"] > 20


def test_redis_queues_carry_no_rabbitmq_arguments():
    assert _app(BROKERS[0]).amqp.queues["payments"].queue_arguments is None


def test_redis_keys_have_no_prefix_so_that_foreign_producers_find_them():
    assert "global_keyprefix" not in _app(BROKERS[0]).conf.broker_transport_options


def test_certificates_are_checked():
    assert _app(BROKERS[1]).connection_for_read().ssl["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    assert _app(BROKERS[3]).connection_for_read().ssl["cert_reqs"] == ssl.CERT_REQUIRED


def test_a_url_may_say_how_to_check_certificates_itself():
    app = _app(BROKERS[1] + "?ssl_cert_reqs=none")
    assert app.connection_for_read().ssl["ssl_cert_reqs"] == ssl.CERT_NONE


def test_the_embedded_broker_stands_in_for_an_unset_url():
    url = "redis://:x@127.0.0.1:7001/0"
    assert configuration(Settings(broker_url=""), url)["broker_url"] == url
