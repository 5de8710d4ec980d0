"""The publisher on real brokers: it finds its way back by itself."""

import pytest
import redis
from celery import Celery

import tasks.charges  # noqa: F401  # importing the tasks registers them
from payments.transaction import Wakes
from tests.support.broker import RabbitBroker
from tests.support.producer import Producer
from tests.support.waiting import wait_for
from worker import transport
from worker.celery_config import configuration
from worker.publisher import Publisher
from worker.request import BillingTask
from worker.settings import Settings


def _break_every_connection(broker_url: str) -> None:
    if broker_url.startswith("amqp"):
        RabbitBroker(broker_url).crash()
        return
    with redis.Redis.from_url(broker_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)


def test_the_length_of_a_queue_is_known_again_after_the_connection_broke(broker_url: str) -> None:
    transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    with Producer(broker_url) as producer:
        producer.declare()
        producer.send("billing.charge.create")
    publisher = Publisher(app)
    try:
        wait_for(lambda: publisher.room("payments", 10) == 9, what="the message to be counted")
        _break_every_connection(broker_url)
        wait_for(lambda: publisher.room("payments", 10) == 9, what="it to be counted again")
    finally:
        app.close()


@pytest.mark.parametrize("queue", ["payments", "webhooks"])
def test_an_empty_queue_has_all_the_room_there_is(broker_url: str, queue: str) -> None:
    transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    with Producer(broker_url) as producer:
        producer.declare()
    try:
        assert Publisher(app).room(queue, 10) == 10
    finally:
        app.close()


def test_a_redis_that_refuses_writes_is_asked_again_until_it_takes_them(redis_url: str) -> None:
    """Out of memory, or a replica since a failover: it answers, and it answers no."""
    transport.register()
    app = Celery("billing", task_cls=BillingTask, set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=redis_url)))

    publisher, client = Publisher(app), redis.Redis.from_url(redis_url)
    try:
        client.config_set("maxmemory", 1)
        publisher(Wakes(charges={"ch_1"}))  # raises nothing
        assert client.llen("payments") == 0
        client.config_set("maxmemory", 0)
        wait_for(lambda: publisher.room("payments", 10) == 10, what="the queue to be counted")

        def woken() -> bool:
            publisher(Wakes(charges={"ch_1"}))
            return bool(client.llen("payments"))

        wait_for(woken, what="it to take them again")
    finally:
        client.config_set("maxmemory", 0)
        client.close()
        app.close()
