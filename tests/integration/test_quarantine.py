"""Broken messages meet a real worker on a real broker: quarantined once, and the work goes on."""

import base64
import itertools
import json
import pickle
import re
import signal

import pytest

from tests.support.waiting import wait_for
from tests.support.workers import RabbitBroker, RedisBroker, Worker

SECRET = "4242424242424242"
KWARGS = {"amount": 1999, "currency": "USD", "customer_id": SECRET}
TASK = "billing.charge.create"
PICKLE = "application/x-python-serialize"
_ids = itertools.count(1)
# kombu's reader of JSON makes an object of this, or raises an error that is no ValueError.
TAGGED = {"__type__": "decimal", "__value__": "x"}


def _headers(**changes):
    return {"lang": "go", "task": TASK, "id": f"bad-{next(_ids)}", **changes}


def _body(*items):
    return json.dumps(items or [[], KWARGS, {}]).encode()


def _without(name):
    headers = _headers()
    del headers[name]
    return headers


# What a foreign producer may send through any broker: (body, headers, properties).
MESSAGES = {
    "no id": (_body(), _without("id"), {}),
    "no task": (_body(), _without("task"), {}),
    "no headers": (_body(), {}, {}),
    "id that is an object": (_body(), _headers(id={"a": 1}), {}),
    "body of two": (_body([], KWARGS), _headers(), {}),
    "body of four": (_body([], KWARGS, {}, {}), _headers(), {}),
    "body that is an object": (json.dumps(KWARGS).encode(), _headers(), {}),
    "args that are an object": (_body({}, KWARGS, {}), _headers(), {}),
    "kwargs that are a list": (_body([], [SECRET], {}), _headers(), {}),
    "empty body": (b"", _headers(), {}),
    "unknown task": (_body(), _headers(task="billing.charge.crate"), {}),
    "task of an earlier version": (_body([], {}, {}), _headers(task="billing.sweep.stock"), {}),
    "Celery's own starmap": (_body(), _headers(task="celery.starmap"), {}),
    "pickle": (pickle.dumps([[], KWARGS, {}]), _headers(), {"content_type": PICKLE}),
    "unknown content type": (_body(), _headers(), {"content_type": "application/x-nonsense"}),
    "unknown content encoding": (_body(), _headers(), {"content_encoding": "klingon"}),
    "compressed": (_body(), _headers(compression="zlib"), {}),
    "bad eta": (_body(), _headers(eta="tomorrow"), {}),
    "bad expires": (_body(), _headers(expires="yesterday"), {}),
    "not JSON": (b"{" + SECRET.encode(), _headers(), {}),
    "bad UTF-8": (b'[[], {"a": "\xff\xfe"}, {}]', _headers(), {}),
    "deep JSON": (b"[" * 50_000 + b"]" * 50_000, _headers(), {}),
    "10 MB": (b'[[], {"a": "' + b"x" * 10_000_000 + b'"}, {}]', _headers(), {}),
    "future protocol": (_body(), _headers(protocol=3), {}),
    "tagged body": (json.dumps(TAGGED).encode(), _headers(), {}),
    "tagged task": (_body(), _headers(task=TAGGED), {}),
    "tagged id": (_body(), _headers(id=TAGGED), {}),
    "NUL and half a character": (b"[[], {}]", _headers(x="\x00", id="\x00"), {}),
    "protocol 1, unknown task": (json.dumps({"task": "x", "id": "y"}).encode(), {}, {}),
}  # fmt: skip


def _letter(**changes):
    letter = {
        "body": base64.b64encode(_body()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": _headers(),
        "properties": {
            "delivery_tag": "t",
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "payments"},
        },
    }
    return json.dumps({**letter, **changes}).encode()


# What only the Redis list lets through.
ITEMS = {
    "not JSON at all": b"hello " + SECRET.encode(),
    "empty item": b"",
    "bad UTF-8": b"\xff\xfe\x00",
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
    "deep JSON": b"[" * 50_000 + b"]" * 50_000,
    "10 MB of nothing": b"x" * 10_000_000,
    "10 MB, wrapped by its sender": _letter(**{"content-type": "application/x-unreadable"})[:-1]
    + b', "x": "'
    + b"y" * 10_000_000
    + b'"}',
    "no properties": json.dumps({"body": "", "headers": {}}).encode(),
    "delivery_info that is a list": _letter(properties={"delivery_info": []}),
    "bad base64": _letter(body="a"),
    "tagged": json.dumps(TAGGED).encode(),
    "tagged, unknown": b'{"__type__": [], "__value__": {}}',
    "tagged delivery_info": _letter(properties={"delivery_info": TAGGED, "body_encoding": TAGGED}),
    "tagged headers": _letter(headers=TAGGED),
    "tagged content type": _letter(**{"content-type": TAGGED}),
    "5,000 digits": _letter(headers={"x": 1}).replace(b'"x": 1', b'"x": ' + b"9" * 5000),
    "deep headers": _letter(headers={"x": 1}).replace(b"1", b"[" * 900 + b"]" * 900),
    "no number": _letter(properties={"priority": 1e999}),
    "headers that are a list": _letter(headers=[1]),
    "body that is an object": _letter(body={"a": SECRET}),
}


# Those that are letters all the same: what is kept is their body.
LETTERS = ["tagged headers", "tagged content type"]

BROKERS = ["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]


def _broker(name, folder):
    if name == "redis":
        return RedisBroker(folder)
    if why_not := RabbitBroker.why_not():
        pytest.skip(why_not)
    return RabbitBroker()


class Place:
    """A broker, a worker that reads it, and what the worker had in quarantine before the test."""

    def __init__(self, broker, worker, *, before=0):
        self.broker = broker
        self.worker = worker
        self._before = before

    def quarantined(self):
        return self.worker.lines("quarantine")[self._before :]

    def send_good(self, task_id, **kwargs):
        self.broker.send(_body([], {**KWARGS, **kwargs}, {}), _headers(id=task_id))

    def went_on(self, *, quarantined):
        """A good message sent last is done, and nothing else has happened to the worker."""
        good = f"good-{next(_ids)}"
        self.send_good(good)
        wait_for(lambda: self.worker.called(good), what="the good message to be done")
        wait_for(lambda: len(self.quarantined()) >= quarantined, what="all broken ones to be kept")
        wait_for(lambda: self.broker.unsettled() == 0, what="everything to be acknowledged")
        assert len(self.quarantined()) == quarantined
        assert self.worker.process.poll() is None
        assert "onnection to broker lost" not in self.worker.log
        assert "Unrecoverable" not in self.worker.log
        assert SECRET not in self.worker.log


@pytest.fixture(scope="module", params=BROKERS)
def shared(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    broker = _broker(request.param, folder)
    worker = Worker(broker.url, folder, "-Q", "payments")
    yield broker, worker
    worker.stop()
    broker.close()


@pytest.fixture
def place(shared):
    broker, worker = shared
    return Place(broker, worker.ready(), before=len(worker.lines("quarantine")))


@pytest.fixture(params=BROKERS)
def broker(request, tmp_path):
    made = _broker(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def make(broker):
        started.append(Worker(broker.url, tmp_path))
        return Place(broker, started[-1].ready())

    yield make
    for worker in started:
        worker.stop()


def test_broken_messages_go_to_quarantine_once_and_the_worker_goes_on(place):
    for body, headers, properties in MESSAGES.values():
        place.broker.send(body, headers, **properties)
    place.went_on(quarantined=len(MESSAGES))
    assert {line["queue"] for line in place.quarantined()} == {"payments"}


def test_items_that_are_no_messages_go_to_quarantine_once(place):
    if not isinstance(place.broker, RedisBroker):
        pytest.skip("RabbitMQ takes messages only")
    for item in ITEMS.values():
        place.broker.send_raw(item)
    place.went_on(quarantined=len(ITEMS))
    kept = {base64.b64decode(line["raw"]) for line in place.quarantined()}
    sent = {name: item[:2000] for name, item in ITEMS.items()}
    sizes = sorted(line["size"] for line in place.quarantined())
    assert sizes[-2:] == [10_000_000, len(ITEMS["10 MB, wrapped by its sender"])]
    assert kept == {*({**sent, **dict.fromkeys(LETTERS, _body())}.values())}


# Properties as AMQP has them: which are there, in two bytes, then each.
UNREADABLE_PROPERTIES = {
    "a time past the year 9999": b"\x00\x40" + b"\xff" * 8,
    "a header that is such a time": b"\x20\x00" + b"\x00\x00\x00\x0b" + b"\x01xT" + b"\xff" * 8,
    "a content type that is no UTF-8": b"\x80\x00" + b"\x02\xff\xfe",
}


def test_properties_that_no_client_can_read_go_to_quarantine_once(place):
    if isinstance(place.broker, RedisBroker):
        pytest.skip("Redis knows no properties")
    for raw in UNREADABLE_PROPERTIES.values():
        place.broker.send_properties(raw, _body())
    place.went_on(quarantined=len(UNREADABLE_PROPERTIES))
    reasons = sorted(line["reason"].partition(":")[0] for line in place.quarantined())
    assert reasons == ["no task name in the headers", *["unreadable properties"] * 2]
    assert {base64.b64decode(line["raw"]) for line in place.quarantined()} == {_body()}


BROADCASTS = [b"no json", b"5", b"{}", b"\xff", json.dumps(TAGGED).encode(), b"[" * 5000, _letter()]


def test_broken_broadcasts_to_the_workers_are_dropped(place):
    if not isinstance(place.broker, RedisBroker):
        pytest.skip("RabbitMQ takes messages only")
    for broadcast in BROADCASTS:
        place.broker.client.publish("/0.celery.pidbox", broadcast)
    place.went_on(quarantined=0)


def test_a_key_that_is_no_list_keeps_no_worker_from_its_queues(place):
    if not isinstance(place.broker, RedisBroker):
        pytest.skip("RabbitMQ has queues and nothing else")
    place.broker.client.set("payments\x06\x163", "x")
    try:
        place.went_on(quarantined=0)
    finally:
        place.broker.client.delete("payments\x06\x163")
    place.broker.client.set("payments", "x")
    wait_for(lambda: "refuses waiting workers" in place.worker.log, what="it to be told")
    place.broker.client.delete("payments")
    place.went_on(quarantined=0)


def test_the_quarantine_says_why_and_what_the_headers_were(place):
    place.broker.send(_body(), _headers(task="billing.charge.crate", id="typo"))
    (line,) = wait_for(place.quarantined, what="it to be kept")
    assert line["reason"] == "unknown task billing.charge.crate"
    assert line["headers"]["id"] == "typo"
    assert base64.b64decode(line["raw"]) == _body()


def test_protocol_1_of_a_known_task_is_done(place):
    body = {"task": TASK, "id": "old", "args": [], "kwargs": KWARGS, "expires": None}
    place.broker.send(json.dumps(body).encode(), {})
    wait_for(lambda: place.worker.called("old"), what="the old message to be done")
    place.went_on(quarantined=0)


def test_orders_in_headers_and_body_are_not_obeyed(place):
    refund = {
        "task": "billing.refund.create",
        "args": [],
        "kwargs": {"charge_id": "ch_" + "a" * 32},
    }
    place.broker.send(
        _body([], KWARGS, {name: [refund] for name in ("callbacks", "errbacks", "chain")}),
        _headers(
            id="orders",
            timelimit=[0.001, 0.001],
            expires="2001-01-01T00:00:00+00:00",
            eta="2099-01-01T00:00:00+00:00",
            argsrepr=SECRET,
            kwargsrepr=SECRET,
        ),
    )
    place.went_on(quarantined=0)
    assert place.worker.called("orders")
    assert not [call for call in place.worker.lines("calls") if call.get("task") == "refund"]


def test_a_bug_in_a_task_is_told_without_its_values(place):
    place.send_good("bug", bug=SECRET)
    place.went_on(quarantined=0)
    assert "internal error ValueError in tests/support/workerapp.py:" in place.worker.log


def test_while_the_sink_is_down_nothing_is_lost_and_work_goes_on(place):
    down = place.worker.out / "sink_is_down"
    down.touch()
    before, said = len(place.worker.lines("sink_calls")), len(place.worker.log)
    place.broker.send(b"not JSON", _headers())
    wait_for(lambda: len(place.worker.lines("sink_calls")) > before, what="the sink to be tried")
    place.send_good("meanwhile")
    wait_for(lambda: place.worker.called("meanwhile"), what="other work to go on")
    pauses = wait_for(
        lambda: re.findall(r"again_in_s=\D*([\d.]+)", place.worker.log[said:]),
        until=lambda pauses: len(pauses) >= 3,
        what="more tries",
    )
    assert pauses[:3] == ["0.5", "1.0", "2.0"]  # no hot loop
    assert not place.quarantined()
    down.unlink()
    wait_for(place.quarantined, what="it to be kept once the sink is back")
    place.went_on(quarantined=1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_message_whose_worker_ends_before_the_sink_is_back_is_not_lost(
    broker, start, tmp_path, how
):
    (tmp_path / "sink_is_down").touch()
    worker = start(broker).worker
    broker.send(b"not JSON", _headers())
    wait_for(lambda: worker.lines("sink_calls"), what="the sink to be tried")
    worker.process.send_signal(how)
    worker.end_of_itself()
    assert not worker.lines("quarantine")
    if how == signal.SIGKILL and isinstance(broker, RedisBroker):
        # As if the visibility timeout were over; it is counted from this.
        tags = broker.client.zrange("unacked_index", 0, -1)
        broker.client.zadd("unacked_index", dict.fromkeys(tags, 0))
    (tmp_path / "sink_is_down").unlink()
    second = start(broker)
    wait_for(lambda: second.worker.lines("quarantine"), what="the next worker to keep it")
    second.went_on(quarantined=1)
