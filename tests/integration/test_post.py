"""Batches of messages on real brokers: all of them, told apart, and as Celery would have sent."""

import base64
import json
import uuid
from urllib.parse import urlsplit

import kombu
import pytest
import redis

from infra.billing import broker_connections
from infra.billing.broker_publisher import LINKS_MAX, Post
from infra.billing.contract.messages.message import call
from service.broker.celery_config import queues
from tests.support.waiting import wait_for


@pytest.fixture
def broker(broker_url):
    """A broker whose queues a worker has made."""
    with kombu.Connection(broker_url) as connection:
        for queue in queues(rabbitmq=broker_url.startswith("amqp")):
            queue(connection.default_channel).declare()
        yield connection


@pytest.fixture
def post(broker_url):
    post = Post(broker_url, timeout_s=5.0)
    yield post
    post.close()


def calls(count, queue="payments"):
    return [call("billing.charge.submit", {"id": f"ch_{n}"}, queue=queue) for n in range(count)]


def ids_in(connection, queue):
    channel, ids = connection.channel(), []
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        if isinstance(message, dict):
            message = channel.message_to_python(message)
        ids.append(json.loads(message.body)[1]["id"])
    return ids


def test_a_batch_arrives_whole_and_in_its_order(broker, post):
    assert post.send(calls(700)) == [None] * 700
    assert post.send(calls(3)) == [None] * 3
    assert ids_in(broker, "payments") == [f"ch_{n}" for n in (*range(700), *range(3))]


def test_a_batch_may_be_for_several_queues(broker, post):
    batch = [*calls(2), *calls(2, "webhooks"), *calls(1)]
    assert post.send(batch) == [None] * 5
    assert ids_in(broker, "payments") == ["ch_0", "ch_1", "ch_0"]
    assert ids_in(broker, "webhooks") == ["ch_0", "ch_1"]


def test_a_message_may_be_large(broker, post):
    # More than a frame of AMQP, and than what a socket takes at once.
    big = [call("t", {"id": f"{n}", "x": "é" * 150_000}, queue="payments") for n in range(20)]
    assert post.send(big) == [None] * 20
    assert ids_in(broker, "payments") == [str(n) for n in range(20)]


def test_no_messages_are_no_trouble(broker, post):
    assert post.send([]) == []
    assert Post("redis://127.0.0.1:1", timeout_s=5.0).send([]) == [], "it asks nobody"


@pytest.mark.parametrize("others", [0, 1])
def test_what_redis_refuses_is_told_without_the_message(redis_url, redis_admin_url, others):
    post = Post(redis_url, timeout_s=5.0)
    batch = [*calls(2, "webhooks"), *calls(others)]
    with redis.Redis.from_url(redis_admin_url) as server:
        server.set("webhooks", "no list")
        reasons = post.send(batch)
        server.delete("webhooks")
    assert reasons == [
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    ] * len(batch)  # fmt: skip
    assert post.send(batch) == [None] * len(batch)
    post.close()


class Interrupted:
    """A link on which nobody waits for the answer."""

    is_dropped = False

    def send(self, batch, *, timeout_s):
        raise KeyboardInterrupt

    def drop(self):
        self.is_dropped = True


def test_a_link_that_was_interrupted_half_way_is_not_used_again(redis_url):
    post, link = Post(redis_url, timeout_s=5.0), Interrupted()
    for _ in range(LINKS_MAX + 1):  # and its place is free again
        post._idle.append(link)
        with pytest.raises(KeyboardInterrupt):
            post.send(calls(1))
    assert link.is_dropped
    assert post.send(calls(1)) == [None]
    post.close()


def test_an_item_of_redis_is_what_kombu_would_have_written(redis_url):
    one = call("billing.charge.submit", {"id": "ch_1"}, queue="payments")
    Post(redis_url, timeout_s=5.0).send([one])
    with kombu.Connection(redis_url) as connection:
        connection.Producer(auto_declare=False).publish(
            one.body,
            exchange="",
            routing_key="payments",
            headers=one.headers,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            correlation_id=one.id,
            reply_to="",
        )
    with redis.Redis.from_url(redis_url) as server:
        kombus, ours = (json.loads(item) for item in server.lrange("payments", 0, -1))
    assert json.loads(base64.b64decode(ours["body"])) == [
        [], {"id": "ch_1"},
        {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
    ]  # fmt: skip
    for item in (ours, kombus):
        uuid.UUID(item["properties"].pop("delivery_tag"))
    assert ours == kombus


@pytest.mark.rabbitmq
def test_rabbitmq_tells_for_each_message_whether_it_has_a_queue(rabbitmq_url):
    with kombu.Connection(rabbitmq_url) as connection:
        queue, _ = queues(rabbitmq=True)
        queue(connection.default_channel).declare()
        post = Post(rabbitmq_url, timeout_s=5.0)
        batch = [one for n in range(50) for one in (*calls(1), *calls(1, "nowhere"))]
        reasons = post.send(batch)
        assert reasons[::2] == [None] * 50
        assert reasons[1::2] == [
            "it has no queue 'nowhere'; start a worker once, which makes it"
        ] * 50  # fmt: skip
        assert post.send(calls(1)) == [None], "the link is as good as before"
        assert len(ids_in(connection, "payments")) == 51


@pytest.mark.rabbitmq
def test_rabbitmq_tells_for_each_message_whether_there_was_room(rabbitmq_url):
    full = kombu.Queue(
        "payments",
        durable=True,
        queue_arguments={"x-max-length": 3, "x-overflow": "reject-publish"},
    )
    with kombu.Connection(rabbitmq_url) as connection:
        full(connection.default_channel).declare()
        post = Post(rabbitmq_url, timeout_s=5.0)
        # A full queue needs a moment to say so: some of the first batch may find room behind it.
        post.send(calls(3))
        wait_for(lambda: set(post.send(calls(10))) == {"its queue is full"}, what="it to be full")
        ids_in(connection, "payments")
        wait_for(lambda: post.send(calls(1)) == [None], what="it to have room again")


class Socketless:
    """A channel of AMQP that confirms by a script, to see what RabbitMQ does only under load."""

    def __init__(self, *frames):
        self.frames, self.published = list(frames), 0
        self.events = {name: set() for name in ("basic_ack", "basic_nack", "basic_return")}
        self.connection = self

    def channel(self):
        return self

    def confirm_select(self):
        pass

    def basic_publish(self, message, **_):
        self.published += 1

    def drain_events(self, timeout):
        name, tag, multiple = self.frames.pop(0) if self.frames else (None, 0, False)
        if name is None:
            raise ConnectionResetError("Connection reset by peer")
        for listener in self.events[f"basic_{name}"]:
            listener(tag, multiple)


def test_one_confirm_may_be_about_many_messages():
    link = broker_connections.RabbitLink(
        Socketless(("ack", 3, True), ("nack", 5, False), ("ack", 4, False))
    )
    receipt = link.send(calls(5), timeout_s=5.0)
    assert receipt.reasons == [None, None, None, None, "its queue is full"]
    assert receipt.error is None


def test_numbers_go_on_from_batch_to_batch():
    link = broker_connections.RabbitLink(Socketless(("ack", 2, True), ("nack", 4, True)))
    assert link.send(calls(2), timeout_s=5.0).reasons == [None, None]
    assert link.send(calls(2), timeout_s=5.0).reasons == ["its queue is full"] * 2


def test_what_was_confirmed_before_the_link_broke_is_known_to_have_arrived():
    link = broker_connections.RabbitLink(Socketless(("ack", 1, False), ("ack", 3, False)))
    receipt = link.send(calls(4), timeout_s=5.0)
    broke = "Connection reset by peer"
    assert receipt.reasons == [None, broke, None, broke]
    assert isinstance(receipt.error, ConnectionResetError)


def test_only_what_is_not_known_to_have_arrived_is_sent_again(monkeypatch):
    half, whole = Socketless(("ack", 1, False), ("ack", 3, False)), Socketless(("ack", 2, True))
    post = Post("amqp://rabbit", timeout_s=5.0)
    post._idle.append(broker_connections.RabbitLink(half))
    monkeypatch.setattr(
        "infra.billing.broker_publisher.connect",
        lambda *_, **__: broker_connections.RabbitLink(whole),
    )
    assert post.send(calls(4)) == [None] * 4
    assert (half.published, whole.published) == (4, 2)


def test_a_link_is_one_connection_and_the_broker_shows_whose_it_is(redis_url, redis_admin_url):
    post = Post(redis_url, timeout_s=5.0, name="a-test")
    post.send(calls(1))
    post.send([*calls(1), *calls(1, "webhooks")])
    password = urlsplit(redis_url).password
    assert password
    assert password not in post.where()
    with redis.Redis.from_url(redis_admin_url) as server:

        def ours():
            return [one["name"] for one in server.client_list() if one["name"] == "a-test"]

        assert len(ours()) == 1
        post.close()
        wait_for(lambda: not ours(), what="it to be closed")
