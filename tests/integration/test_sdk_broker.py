"""The SDK over real brokers: what arrives, what a dead broker costs, threads, forks, lost links."""

import base64
import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import kombu
import pytest
import redis
from sqlalchemy import text

from infra import billing
from infra.billing import client
from infra.billing.broker_publisher import LINKS_MAX
from service.broker.celery_config import queues
from tests.support.both_clients import threads_only
from tests.support.waiting import patience_s, wait_for

pytestmark = pytest.mark.usefixtures("unconfigured", "both")


@pytest.fixture
def broker(broker_url):
    """A broker whose queues a worker has made."""
    with kombu.Connection(broker_url) as connection:
        for queue in queues(rabbitmq=broker_url.startswith("amqp")):
            queue(connection.default_channel).declare()
        yield connection


def waiting(connection):
    """The messages in `payments`, taken out of it."""
    messages = []
    channel = connection.channel()
    while (message := channel.basic_get("payments", no_ack=True)) is not None:
        messages.append(
            channel.message_to_python(message) if isinstance(message, dict) else message
        )
    return messages


def payload(message):
    return json.loads(message.body)


def test_a_request_is_a_message_of_celerys_protocol(broker, broker_url):
    billing.configure(url=broker_url, producer="shop")
    billing.charge.create(
        amount=1999,
        currency="usd",
        idempotency_key="order-1042",
        payment_method_id="pm_card_visa",
        metadata={"cart": "7"},
    )
    (message,) = waiting(broker)
    args, kwargs, embed = payload(message)
    assert args == []
    assert kwargs == {
        "amount": 1999,
        "currency": "USD",
        "idempotency_key": "order-1042",
        "payment_method_id": "pm_card_visa",
        "metadata": {"cart": "7"},
        "producer": "shop",
    }
    assert embed == {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    headers = message.headers
    assert (headers["lang"], headers["task"]) == ("py", "billing.charge.create")
    assert message.properties["correlation_id"] == headers["id"] == headers["root_id"]
    assert "1999" not in headers["argsrepr"] + headers["kwargsrepr"]
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.properties["delivery_mode"] == 2


def test_to_cancel_is_a_message_too(broker, broker_url):
    billing.configure(url=broker_url, producer="shop")
    id_ = "ch_" + "a" * 32
    charge = billing.charge.cancel(id_, reason="left")
    assert (charge.charge_id, charge.state) == (id_, "pending")
    (message,) = waiting(broker)
    assert message.headers["task"] == "billing.charge.cancel"
    assert payload(message)[1] == {"charge_id": id_, "reason": "left", "producer": "shop"}
    with pytest.raises(billing.ReadingNeedsHttp):
        billing.charge.cancel(id_, wait_s=1)


def test_the_answer_is_the_pending_object(broker, broker_url):
    billing.configure(url=broker_url)
    charge = billing.charge.create(amount=1999, currency="usd", idempotency_key="order-1042")
    assert charge.charge_id == "ch_3uvsrh44memag4sj6rp4mz6jzdcu7afd"
    assert (charge.state, charge.currency, charge["amount"]) == ("pending", "USD", 1999)
    refund = billing.refund.create(charge_id=charge.charge_id, idempotency_key="order-1042")
    assert refund.refund_id == "re_odmrym533wgskk5fmtdepkx22texqics"
    assert (refund.state, refund.amount, refund.charge_id) == ("pending", None, charge.charge_id)
    kwargs = [payload(message)[1] for message in waiting(broker)]
    assert "amount" not in kwargs[1]


def test_what_the_models_of_the_sdk_do_not_know_is_no_message(broker, broker_url):
    billing.configure(url=broker_url)
    with pytest.raises(billing.InvalidRequest, match="did you mean 'amount'"):
        billing.charge.create(amuont=1999, currency="USD")
    with pytest.raises(billing.InvalidRequest, match="'fee' is not a field"):
        billing.refund.create(charge_id="ch_" + "a" * 32, fee=3)
    assert waiting(broker) == []


def test_a_charge_by_price_is_pending_with_its_amount_to_come(broker, broker_url):
    billing.configure(url=broker_url, producer="shop")
    charge = billing.charge.create(price_id="standard", quantity=2, idempotency_key="order-1042")
    assert (charge.price_id, charge.quantity, charge.lines) == ("standard", 2, None)
    assert (charge.amount, charge.currency) == (None, None)
    refund = billing.refund.create(
        charge_id=charge.charge_id,
        amount=500,
        restock=True,
        restock_quantity=1,
        idempotency_key="r-1",
    )
    assert (refund.restock, refund.restock_quantity) == (True, 1)
    plain = billing.refund.create(charge_id=charge.charge_id, idempotency_key="r-2")
    assert (plain.restock, plain.restock_quantity) == (False, None)
    by_price, with_goods, without = (payload(message)[1] for message in waiting(broker))
    assert by_price == {
        "price_id": "standard",
        "quantity": 2,
        "idempotency_key": "order-1042",
        "producer": "shop",
    }
    assert (with_goods["restock"], with_goods["restock_quantity"]) == (True, 1)
    assert not {"restock", "restock_quantity"} & set(without)


def test_repeats_are_two_messages_and_one_charge(broker, broker_url):
    billing.configure(url=broker_url)
    first, second = (
        billing.charge.create(amount=5, currency="USD", idempotency_key="k") for _ in range(2)
    )
    assert first == second
    messages = waiting(broker)
    assert len({message.headers["id"] for message in messages}) == 2


def test_without_a_key_each_call_is_a_charge_of_its_own(broker, broker_url):
    billing.configure(url=broker_url)
    first, second = (billing.charge.create(amount=5, currency="USD") for _ in range(2))
    assert first.charge_id != second.charge_id
    keys = {payload(message)[1]["idempotency_key"] for message in waiting(broker)}
    assert keys == {first.idempotency_key, second.idempotency_key}


@threads_only
def test_threads_share_few_links(broker, broker_url):
    billing.configure(url=broker_url)
    with ThreadPoolExecutor(32) as threads:
        charges = list(
            threads.map(
                lambda n: billing.charge.create(amount=1, currency="USD", idempotency_key=str(n)),
                range(320),
            )
        )
    keys = {payload(message)[1]["idempotency_key"] for message in waiting(broker)}
    assert keys == {charge.idempotency_key for charge in charges} == {str(n) for n in range(320)}
    assert len(client.transport()._post._idle) <= LINKS_MAX


@threads_only
def test_a_forked_child_sends_on_links_of_its_own(broker, broker_url):
    billing.configure(url=broker_url)
    billing.charge.create(amount=1, currency="USD", idempotency_key="parent-1")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            billing.charge.create(amount=1, currency="USD", idempotency_key="child")
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    link = client.transport()._post._idle[-1]
    billing.charge.create(amount=1, currency="USD", idempotency_key="parent-2")
    assert client.transport()._post._idle[-1] is link, "the child shut down its parent's link"
    keys = {payload(message)[1]["idempotency_key"] for message in waiting(broker)}
    assert keys == {"parent-1", "child", "parent-2"}


def test_a_link_that_was_cut_is_replaced_unnoticed(redis_url, redis_admin_url):
    billing.configure(url=redis_url)
    billing.charge.create(amount=1, currency="USD", idempotency_key="before")
    server = redis.Redis.from_url(redis_admin_url)
    for one in server.client_list():
        if one["name"] == "infra.billing":
            server.client_kill_filter(_id=one["id"])
    billing.charge.create(amount=1, currency="USD", idempotency_key="after")
    items = [json.loads(item) for item in server.lrange("payments", 0, -1)]
    keys = [json.loads(base64.b64decode(i["body"]))[1]["idempotency_key"] for i in items]
    assert keys == ["after", "before"]


def test_an_emptied_redis_takes_messages_as_before(redis_url, redis_admin_url):
    billing.configure(url=redis_url)
    billing.charge.create(amount=1, currency="USD")
    server = redis.Redis.from_url(redis_admin_url)
    server.flushall()
    billing.charge.create(amount=1, currency="USD")
    assert server.llen("payments") == 1


@pytest.mark.rabbitmq
def test_rabbitmq_without_the_queue_is_an_error_and_not_a_loss(rabbitmq_url):
    billing.configure(url=rabbitmq_url)
    with pytest.raises(billing.Unavailable, match="no queue 'payments'; start a worker once"):
        billing.charge.create(amount=1, currency="USD")


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_down_is_told_at_once_with_the_key_to_repeat(scheme):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        billing.configure(url=f"{scheme}://u:hunter2@127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(billing.Unavailable) as unavailable:
            billing.charge.create(amount=1, currency="USD")
        with pytest.raises(billing.Unavailable) as uncaptured:
            billing.charge.capture("ch_" + "a" * 32)
    for error in (unavailable.value, uncaptured.value):
        assert error.idempotency_key
        assert "hunter2" not in str(error)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_says_nothing_is_given_up(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        billing.configure(url=f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", timeout_s=1.0)
        with pytest.raises(billing.Unavailable):  # without our limit it would wait for ever
            billing.charge.create(amount=1, currency="USD")


@threads_only
def test_as_many_threads_as_there_are_links_ask_at_once():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        silent.settimeout(patience_s())
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        billing.configure(url=url, timeout_s=2 * patience_s())

        def refused(_: int) -> bool:
            with pytest.raises(billing.Unavailable):
                billing.charge.create(amount=1, currency="USD")
            return True

        with ThreadPoolExecutor(LINKS_MAX) as threads:
            answers = threads.map(refused, range(LINKS_MAX))
            links = [silent.accept()[0] for _ in range(LINKS_MAX)]  # none has had an answer
            for link in (silent, *links):
                link.close()
            assert all(answers)


@threads_only
def test_who_finds_all_links_waiting_is_told_when_its_time_is_up():
    billing.configure(url="redis://127.0.0.1:1", timeout_s=0.2)
    for _ in range(LINKS_MAX):
        client.transport()._post._places.acquire()
    with pytest.raises(billing.Unavailable, match="all 8 links are waiting for it"):
        billing.charge.create(amount=1, currency="USD")


@threads_only
def test_a_lock_held_at_a_fork_does_not_hold_up_the_child(redis_url):
    billing.configure(url=redis_url)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with client._current._lock:
            held.set()
            done.wait(patience_s())

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(patience_s())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            billing.charge.create(amount=1, currency="USD")
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    done.set()
    holder.join()
    assert status == 0


def test_what_the_sdk_asks_for_a_worker_does_under_the_same_id(engine, programs, redis_url):
    programs.start("worker")
    billing.configure(url=redis_url, producer="shop")
    charge = billing.charge.create(
        amount=billing.minor("19.99", "USD"), currency="USD", payment_method_id="pm_card_visa"
    )
    with engine.connect() as connection:

        def row():
            found = connection.execute(
                text("SELECT state, amount, producer FROM charges WHERE id = :id"),
                {"id": charge.charge_id},
            ).one_or_none()
            connection.rollback()
            return found if found and found.state == "succeeded" else None

        assert tuple(wait_for(row, what="the charge")) == ("succeeded", 1999, "shop")
