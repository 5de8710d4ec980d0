"""The publisher on real brokers: it finds its way back by itself."""

import socket
from collections.abc import Iterator

import kombu
import pytest
import redis
from celery import Celery

from infra.billing.contract.ids import random_id
from payments.transaction import Wakes
from service.broker.celery_config import configuration
from service.broker.connections import Gauge
from service.broker.publisher import TOLD_TOGETHER, Publisher
from service.settings import Settings
from tests.support.broker import RabbitBroker
from tests.support.producer import Producer
from tests.support.waiting import wait_for
from worker.task_request import BillingTask
from worker.transport import redis_transport


def _break_every_connection(broker_url: str, redis_admin_url: str) -> None:
    if broker_url.startswith("amqp"):
        RabbitBroker(broker_url).crash()
        return
    with redis.Redis.from_url(redis_admin_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)


def test_the_length_of_a_queue_is_known_again_after_the_connection_broke(
    broker_url: str, redis_admin_url: str
) -> None:
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    with Producer(broker_url) as producer:
        producer.declare()
        producer.send("billing.charge.create")
    publisher = Publisher(app)
    try:
        wait_for(lambda: publisher.room("payments", 10) == 9, what="the message to be counted")
        _break_every_connection(broker_url, redis_admin_url)
        wait_for(lambda: publisher.room("payments", 10) == 9, what="it to be counted again")
    finally:
        app.close()


def test_to_ask_for_the_length_of_a_queue_again_takes_no_new_connection(
    redis_url: str, redis_admin_url: str
) -> None:
    """Watchdogs ask every few seconds, for as long as there is nothing to do."""
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=redis_url)))
    gauge = Gauge(app)
    with redis.Redis.from_url(redis_admin_url) as client:
        assert gauge.depth("payments", "webhooks") == 0
        before = client.info("stats")["total_connections_received"]
        for length in (1, 2, 3):
            client.lpush("payments", "x")
            assert gauge.depth("payments", "webhooks") == length
        assert client.info("stats")["total_connections_received"] == before
    gauge.close()
    app.close()


def test_a_queue_that_is_not_there_yet_is_counted_when_it_is(broker_url: str) -> None:
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    gauge = Gauge(app)
    assert [gauge.depth("payments", "webhooks") for _ in range(3)] == [0, 0, 0]
    channels = len(gauge._link.connection.channels)
    assert [gauge.depth("payments", "webhooks") for _ in range(3)] == [0, 0, 0]
    assert len(gauge._link.connection.channels) == channels
    with Producer(broker_url) as producer:
        producer.declare()
        producer.send("billing.charge.create")
    wait_for(lambda: gauge.depth("payments", "webhooks") == 1, what="the message to be counted")
    gauge.close()
    app.close()


@pytest.mark.parametrize("queue", ["payments", "webhooks"])
def test_an_empty_queue_has_all_the_room_there_is(broker_url: str, queue: str) -> None:
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    with Producer(broker_url) as producer:
        producer.declare()
    try:
        assert Publisher(app).room(queue, 10) == 10
    finally:
        app.close()


def test_a_redis_that_refuses_writes_is_asked_again_until_it_takes_them(
    redis_url: str, redis_admin_url: str
) -> None:
    """Out of memory, or a replica since a failover: it answers, and it answers no."""
    redis_transport.register()
    app = Celery("billing", task_cls=BillingTask, set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=redis_url)))

    publisher, client = Publisher(app), redis.Redis.from_url(redis_admin_url)
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


@pytest.fixture
def app(broker_url: str) -> Iterator[Celery]:
    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=broker_url)))
    with Producer(broker_url) as producer:
        producer.declare()
    yield app
    app.close()


def _messages(app: Celery, queue: str) -> list[kombu.Message]:
    """What waits in `queue`, taken out of it."""
    found = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            found.append(channel.message_to_python(message))
    return found


def test_each_call_is_a_message_of_its_task_in_its_queue(app: Celery) -> None:
    charge, endpoint = "ch_" + "a" * 32, "we_" + "b" * 32
    Publisher(app)(Wakes(charges={charge}, refunds={"re_1", "re_2"}, endpoints={endpoint}))

    told = [(m.headers["task"], m.payload[1]) for m in _messages(app, "payments")]
    assert told[0] == ("billing.charge.submit", {"id": charge})
    assert sorted(told[1:], key=str) == [
        ("billing.refund.submit", {"id": "re_1"}),
        ("billing.refund.submit", {"id": "re_2"}),
    ]
    (drain,) = _messages(app, "webhooks")
    assert drain.headers["task"] == "billing.webhook.drain"
    assert drain.payload == [[], {"endpoint_id": endpoint}, drain.payload[2]]
    assert drain.headers["kwargsrepr"] == f"{{'endpoint_id': '{endpoint}'}}"


def test_endpoints_that_are_due_together_are_called_together_and_each_once(app: Celery) -> None:
    ids = {random_id("we_") for _ in range(2 * TOLD_TOGETHER + 1)}
    Publisher(app)(Wakes(endpoints=ids))
    drains = _messages(app, "webhooks")
    assert {drain.headers["task"] for drain in drains} == {"billing.webhook.drain"}
    called = [tuple(drain.payload[1].items()) for drain in drains]
    assert {name for ((name, _),) in called} == {"endpoint_ids"}
    assert sorted(id_ for ((_, named),) in called for id_ in named) == sorted(ids)
    assert sorted(len(named) for ((_, named),) in called) == [1, TOLD_TOGETHER, TOLD_TOGETHER]


def test_ids_that_are_none_show_neither_in_flower_nor_in_logs(app: Celery) -> None:
    Publisher(app)(Wakes(charges={"ada@example.org"}))
    (message,) = _messages(app, "payments")
    assert "ada" not in str(message.headers)


def test_a_thousand_calls_are_one_command_of_redis(redis_url: str) -> None:
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=redis_url)))
    publisher = Publisher(app)
    publisher(Wakes(charges={"ch_first"}))
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("commandstats")["cmdstat_lpush"]["calls"]
        publisher(Wakes(charges={f"ch_{n}" for n in range(1000)}))
        assert client.info("commandstats")["cmdstat_lpush"]["calls"] == before + 1
        assert client.llen("payments") == 1001


def connections_to(server: socket.socket) -> int:
    """How many wait to be accepted; they are closed."""
    server.setblocking(False)
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing_is_given_up_and_not_asked_again_soon(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = Celery("billing", set_as_current=False)
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        app.conf.update(configuration(Settings(broker_url=url)))
        publisher = Publisher(app)
        publisher(Wakes(charges={f"ch_{n}" for n in range(100)}))  # without a limit: for ever
        assert connections_to(silent) >= 1
        publisher(Wakes(charges={"ch_1"}))
        assert connections_to(silent) == 0


@pytest.mark.rabbitmq
def test_without_queues_nothing_is_raised(rabbitmq_url: str) -> None:
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(Settings(broker_url=rabbitmq_url)))
    Publisher(app)(Wakes(charges={"ch_1"}, endpoints={"we_1"}))
