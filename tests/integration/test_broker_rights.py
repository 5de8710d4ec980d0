"""The broker rights of docs/how-to/lock-it-down.md let a producer send requests, and no more."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import amqp
import kombu
import pytest
import redis
from amqp.exceptions import AccessRefused
from celery import Celery
from redis.exceptions import NoPermissionError

from infra.billing.broker import Broker
from infra.billing.calls.described import Create
from local.embedded.throwaway import Servers
from tests.support import rabbitmq
from tests.support.producer import Producer
from tests.support.programs import ROOT
from tests.support.promised import skip_or_fail

PAGE = (ROOT / "docs/how-to/lock-it-down.md").read_text()
CHARGE = {"amount": 1999, "currency": "USD", "idempotency_key": "k-1"}
HOST = "127.0.0.1"


def of_the_page(name: str) -> str:
    """A line of the page, which stands under this name."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)\n```", PAGE, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def admin(servers: Servers, redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(servers.redis.admin_url) as client:
        yield client


@pytest.fixture
def as_user(admin: Any, servers: Servers) -> Iterator[Callable[[str], str]]:
    """Makes the user of a line of the page; returns the broker's URL for them."""
    made = []

    def make(name: str) -> str:
        word, user, *rights = of_the_page(name).split()
        assert word == "user"
        password = secrets.token_hex(8)
        user = f"{user}-{secrets.token_hex(4)}"
        given = [right if right[0] != ">" else f">{password}" for right in rights]
        assert admin.execute_command("ACL", "SETUSER", user, *given) == b"OK"
        made.append(user)
        return f"redis://{user}:{password}@{HOST}:{servers.redis._port}/0"

    yield make
    for user in made:
        admin.execute_command("ACL", "DELUSER", user)


def test_a_producers_redis_user_asks_with_the_sdk(
    admin: Any, as_user: Callable[[str], str]
) -> None:
    broker = Broker(as_user("redis: a producer"), timeout_s=5, producer="shop")
    try:
        answers = broker.create_batch("charge", [CHARGE, {**CHARGE, "idempotency_key": "k-2"}])
        assert [one["producer"] for one in answers] == ["shop", "shop"]
    finally:
        broker.close()
    assert admin.llen("payments") == 2


def test_a_producers_redis_user_may_do_nothing_else(
    admin: Any, as_user: Callable[[str], str]
) -> None:
    with redis.Redis.from_url(as_user("redis: a producer")) as client:
        client.lpush("payments", "x")
        for command in (
            "LRANGE payments 0 -1", "LPOP payments", "RPOP payments", "DEL payments",
            "UNLINK payments", "LLEN payments", "LMOVE payments payments LEFT LEFT",
            "EXPIRE payments 1", "RENAME payments x", "LPUSH webhooks x", "LPUSH other x",
            "SET other x", "GET payments", "DUMP payments", "KEYS *", "SCAN 0", "HGETALL unacked",
            "FLUSHALL", "FLUSHDB", "CONFIG GET maxmemory", "SHUTDOWN NOSAVE", "ACL WHOAMI", "INFO",
            "CLIENT LIST", "CLIENT KILL TYPE normal", "SUBSCRIBE x", "PUBLISH x y",
            "MONITOR", "REPLICAOF NO ONE", "SAVE", "SWAPDB 0 1",
        ):  # fmt: skip
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())
        with pytest.raises(NoPermissionError):
            client.eval("return redis.call('LPOP', 'payments')", 0)
    assert admin.llen("payments") == 1


def test_stock_celery_asks_with_a_redis_user_of_its_own(
    admin: Any, as_user: Callable[[str], str]
) -> None:
    app = Celery(broker=as_user("redis: stock Celery"), set_as_current=False)
    app.conf.task_default_queue = "payments"
    app.conf.broker_connection_timeout = 5
    app.send_task("billing.charge.create", kwargs=CHARGE, ignore_result=True)
    app.close()
    (item,) = admin.lrange("payments", 0, -1)
    assert json.loads(item)["headers"]["task"] == "billing.charge.create"
    with redis.Redis.from_url(as_user("redis: stock Celery")) as client:
        for command in ("LRANGE payments 0 -1", "DEL payments", "RPOP payments", "FLUSHALL",
                        "EXPIRE payments 1", "LPUSH webhooks x"):  # fmt: skip
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())


# --- RabbitMQ


@pytest.fixture
def as_rabbit(rabbitmq_url: str) -> Iterator[Callable[[str], str]]:
    """Makes the user of a line of the page, on this test's virtual host; returns the URL."""
    control = shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin")
    if control is None:
        skip_or_fail("RABBITMQ", "no rabbitmqctl to make a user with")
    host = rabbitmq_url.rpartition("/")[2]
    made = []

    def run(*arguments: str) -> None:
        done = rabbitmq._control(str(control), *arguments)
        assert done.returncode == 0, done.stderr

    def make(name: str) -> str:
        line = of_the_page(name)
        found = re.fullmatch(r"rabbitmqctl set_permissions -p \S+ (\S+) '(.*)' '(.*)' '(.*)'", line)
        assert found, line
        user, password = f"{found[1]}-{secrets.token_hex(4)}", secrets.token_hex(8)
        run("add_user", user, password)
        made.append(user)
        run("set_permissions", "-p", host, user, found[2], found[3], found[4])
        return rabbitmq_url.replace("guest:guest", f"{user}:{password}")

    yield make
    for user in made:
        run("delete_user", user)


@pytest.mark.rabbitmq
def test_a_producers_rabbitmq_user_asks_with_the_sdk_and_does_nothing_else(
    rabbitmq_url: str, as_rabbit: Callable[[str], str]
) -> None:
    with Producer(rabbitmq_url) as producer:
        producer.declare()
    url = as_rabbit("rabbitmq: a producer")
    broker = Broker(url, timeout_s=5, producer="shop")
    try:
        assert broker.run(Create("charge", CHARGE))["producer"] == "shop"
    finally:
        broker.close()
    assert refused_all_but_asking(url) == 8
    with kombu.Connection(rabbitmq_url) as owner:
        queue = owner.default_channel.queue_declare("payments", passive=True)
        assert queue.message_count == 1


@pytest.mark.rabbitmq
def test_one_that_publishes_to_our_exchange_reaches_no_other_queue(
    rabbitmq_url: str, as_rabbit: Callable[[str], str]
) -> None:
    with Producer(rabbitmq_url) as producer:
        producer.declare()
    url = as_rabbit("rabbitmq: a producer of our exchange")
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        sending = connection.Producer()
        sending.publish("x", exchange="billing", routing_key="payments", mandatory=True)
        with pytest.raises(AccessRefused):
            sending.publish("x", exchange="", routing_key="payments")
    assert refused_all_but_asking(url) == 8


def refused_all_but_asking(url: str) -> int:
    """How much of what a producer must not do is refused."""
    forbidden: list[Callable[[Any], object]] = [
        lambda channel: channel.basic_get("payments"),
        lambda channel: channel.basic_consume("payments"),
        # As any client does it: our own channels refuse before they ask.
        lambda channel: amqp.Channel.queue_purge(channel, "payments"),
        lambda channel: channel.queue_delete("payments"),
        lambda channel: channel.queue_declare("mine"),
        lambda channel: channel.queue_bind("payments", "billing", "mine"),
        lambda channel: channel.exchange_declare("mine", "fanout"),
        lambda channel: channel.exchange_delete("billing"),
    ]
    count = 0
    for one in forbidden:
        with kombu.Connection(url) as connection:
            with pytest.raises(AccessRefused):
                one(connection.channel())
            count += 1
    return count
