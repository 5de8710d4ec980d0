"""Many requests at once: an answer for each, in order, whatever becomes of the others."""

import json
import socket

import kombu
import pytest
import redis

from infra import billing
from infra.billing import client
from infra.billing.calls import bulk
from infra.billing.calls.bulk import SILENT_MAX
from infra.billing.calls.silences import PARALLEL_MAX
from service.broker.celery_config import queues
from tests.support.both_clients import threads_only
from tests.support.every import every
from tests.support.scripted import PENDING, Hangs, Says, problem, scripted_service
from tests.support.waiting import patience_s

pytestmark = pytest.mark.usefixtures("unconfigured", "both")


@pytest.fixture
def broker(broker_url):
    with kombu.Connection(broker_url) as connection:
        for queue in queues(rabbitmq=broker_url.startswith("amqp")):
            queue(connection.default_channel).declare()
        billing.configure(url=broker_url, producer="shop")
        yield connection


@pytest.fixture
def service():
    """Gives every charge the id of its key, and refuses amounts of 13."""

    def answer(asked):
        key = asked.headers["idempotency-key"]
        if asked.body.get("amount") == 13:
            return problem(409, "reference_in_use")
        return Says(202, {**PENDING, "charge_id": f"ch_{key}", "refund_id": f"re_{key}"})

    with scripted_service() as running:
        running.will(answer)
        billing.configure(url=running.url, api_key="bk_1", timeout_s=patience_s())
        yield running


def rows(count, **more):
    return [
        {"amount": n, "currency": "USD", "idempotency_key": f"k{n}", **more}
        for n in range(1, count + 1)
    ]


def keys_in(connection):
    channel = connection.channel()
    keys = []
    while (message := channel.basic_get("payments", no_ack=True)) is not None:
        if isinstance(message, dict):
            message = channel.message_to_python(message)
        keys.append(json.loads(message.body)[1]["idempotency_key"])
    return keys


def test_a_broker_gets_all_of_them_in_their_order(broker):
    charges = list(billing.charge.create_many(rows(1200)))
    assert [charge.idempotency_key for charge in charges] == [f"k{n}" for n in range(1, 1201)]
    assert {charge.state for charge in charges} == {"pending"}
    assert len({charge.charge_id for charge in charges}) == 1200
    assert keys_in(broker) == [f"k{n}" for n in range(1, 1201)]


def test_the_id_is_the_one_that_a_single_call_would_give(broker):
    (many_times,) = billing.charge.create_many(rows(1))
    assert many_times == billing.charge.create(**rows(1)[0])


def test_a_service_gets_all_of_them_and_the_answers_are_in_order(service):
    charges = list(billing.charge.create_many(rows(12), batch=5))
    assert [charge.charge_id for charge in charges] == [f"ch_k{n}" for n in range(1, 13)]
    assert sorted(service.keys) == sorted(f"k{n}" for n in range(1, 13))
    assert len({one.port for one in service.asked}) <= PARALLEL_MAX


def test_refunds_likewise(service):
    charge = "ch_" + "a" * 32
    asked = [{"charge_id": charge, "amount": n, "idempotency_key": f"r{n}"} for n in (1, 2)]
    refunds = list(billing.refund.create_many(iter(asked)))
    assert [refund.refund_id for refund in refunds] == ["re_r1", "re_r2"]
    assert {type(refund) for refund in refunds} == {billing.Refund}


def test_charges_by_price_and_by_amount_go_together(service):
    by_price = {"price_id": "standard", "quantity": 2, "idempotency_key": "k2"}
    wrong = {"price_id": "standard", "quantity": b"2"}
    charge, sold, refused = billing.charge.create_many([*rows(1), by_price, wrong])
    assert (charge.charge_id, sold.charge_id) == ("ch_k1", "ch_k2")
    assert refused.param == "quantity"
    bodies = {one.headers["idempotency-key"]: one.body for one in service.asked}
    assert bodies["k2"] == {"price_id": "standard", "quantity": 2}


WRONG = [
    ({"amount": 19.99, "currency": "USD", "idempotency_key": "float"}, "amount"),
    ({"amount": 5, "idempotency_key": "no currency"}, "currency"),
    ({"amount": 5, "currency": "USD", "amout": 5}, "amout"),
    ({"amount": 5, "currency": "USD", "ada@example.org": 5}, None),
    ({"amount": 5, "currency": "USD", 4242424242424242: 5}, None),
    ({"amount": 5, "currency": "USD", "producer": "other"}, "producer"),
    ("amount=5", None),
    (None, None),
]


def test_a_wrong_one_stops_none_of_the_others(broker):
    asked = [one for wrong, _ in WRONG for one in (wrong, *rows(1))]
    answers = list(billing.charge.create_many(asked, batch=3))
    assert len(answers) == 2 * len(WRONG)
    for refused, (wrong, param) in zip(answers[::2], WRONG, strict=True):
        assert type(refused) is billing.InvalidRequest
        assert refused.param == param
        assert "example.org" not in str(refused)
        assert "4242" not in str(refused)
        key = wrong.get("idempotency_key") if isinstance(wrong, dict) else None
        assert key in (None, refused.idempotency_key)
    assert {type(charge) for charge in answers[1::2]} == {billing.Charge}
    assert len(keys_in(broker)) == len(WRONG)


def test_nor_does_one_that_the_service_refuses(service):
    answers = list(billing.charge.create_many(rows(30)))
    refused = answers[12]
    assert type(refused) is billing.ReferenceInUse
    assert refused.idempotency_key == "k13"
    assert sum(isinstance(one, billing.Charge) for one in answers) == 29


def test_each_without_a_key_gets_one(broker):
    charges = list(billing.charge.create_many([{"amount": 1, "currency": "USD"}] * 3))
    assert len({charge.idempotency_key for charge in charges}) == 3


def test_they_are_read_as_they_are_needed_and_progress_is_told(service):
    read = []

    def reading():
        for row in rows(25):
            read.append(row)
            yield row

    told = []
    answers = billing.charge.create_many(
        reading(), batch=10, progress=lambda done, refused: told.append((done, refused))
    )
    assert (read, service.asked) == ([], [])
    next(answers)
    assert (len(read), len(service.asked), told) == (10, 10, [(10, 0)])
    list(answers)
    assert told == [(10, 0), (20, 1), (25, 1)]


@every("batch", [0, -1, 1.5, True, "10", bulk.BATCH_MAX + 1])
def test_a_batch_has_a_size(service, batch):
    with pytest.raises(billing.InvalidRequest) as refused:
        billing.charge.create_many([], batch=batch)
    assert refused.value.param == "batch"


def test_none_at_all_are_no_requests(service):
    assert list(billing.charge.create_many([])) == []
    assert service.asked == []


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_down_is_told_for_each_with_its_key(scheme):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        billing.configure(url=f"{scheme}://127.0.0.1:{taken.getsockname()[1]}")
        answers = list(billing.charge.create_many(rows(3)))
    assert {type(answer) for answer in answers} == {billing.Unavailable}
    assert [answer.idempotency_key for answer in answers] == ["k1", "k2", "k3"]


def test_a_service_that_says_nothing_costs_a_batch_a_few_timeouts_and_not_one_each(service):
    billing.configure(url=service.url, api_key="bk_1", timeout_s=0.5)
    service.will(Hangs())
    answers = list(billing.charge.create_many(rows(200)))
    assert {type(answer) for answer in answers} == {billing.Unavailable}
    assert [answer.idempotency_key for answer in answers] == [f"k{n}" for n in range(1, 201)]
    assert len(set(service.keys)) < 40
    assert "not sent" in str(answers[-1])


@threads_only
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "redis://127.0.0.1:1/0"])
def test_after_some_batches_that_nobody_answers_the_rest_is_not_sent(url, monkeypatch):
    billing.configure(url=url, api_key="bk_1", timeout_s=0.2)
    sent = []
    transport = client.transport()
    create_batch = transport.create_batch

    def counted(kind, batch):
        sent.append(len(batch))
        return create_batch(kind, batch)

    monkeypatch.setattr(transport, "create_batch", counted)
    answers = list(billing.charge.create_many(rows(100), batch=10))
    assert sent == [10] * SILENT_MAX
    assert {type(answer) for answer in answers} == {billing.Unavailable}
    assert [answer.idempotency_key for answer in answers] == [f"k{n}" for n in range(1, 101)]
    assert "not sent" in str(answers[-1])


def test_a_batch_is_one_command_of_redis(redis_url):
    billing.configure(url=redis_url)
    list(billing.charge.create_many(rows(1)))
    with redis.Redis.from_url(redis_url) as server:
        before = server.info("commandstats")["cmdstat_lpush"]["calls"]
        list(billing.charge.create_many(rows(500)))
        assert server.info("commandstats")["cmdstat_lpush"]["calls"] == before + 1
        assert server.llen("payments") == 501
