"""When the SDK asks again: on a wire that is a script and a clock that only sleep moves."""

import asyncio
import random

import pytest

from infra import billing
from infra.billing import retries
from infra.billing.aio.async_http import AsyncHttp
from infra.billing.base_url import root
from infra.billing.calls.described import Ask, Create, Get
from infra.billing.calls.stepwise import Answer, NoAnswer
from infra.billing.http import Http
from tests.support.every import every
from tests.support.scripted import Clock

PENDING = b'{"charge_id": "ch_1", "state": "pending"}'
FIELDS = {"amount": 1999, "currency": "USD", "idempotency_key": "order-1"}
CHARGE = Create("charge", FIELDS)
ONCE = Ask("POST", ("webhook-endpoints",), body={"url": "https://x"}, repeatable=False)
DELETE = Ask("DELETE", ("webhook-endpoints", "we_1"))
OK = Answer(202, {}, PENDING)
LOST = NoAnswer("timed out", is_sent=True)
REFUSED = NoAnswer("Connection refused")
CLOSED = NoAnswer("closed", is_sent=True, was_kept=True)


def says(status, body=b"{}", **headers):
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


class Wire:
    """Answers by a script, each after `takes_s`; what was sent is in `sent`."""

    def __init__(self, clock, *script, takes_s=0.0):
        self.clock, self.script, self.takes_s = clock, list(script), takes_s
        self.sent = []

    def exchange(self, method, target, *, headers, body, timeout_s):
        self.sent.append({"method": method, "target": target, "timeout_s": timeout_s, **headers})
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        is_pending = isinstance(answer, Answer) and answer.body == PENDING
        takes_s = float(headers.get("prefer", "=0").split("=")[1]) if is_pending else 0.0
        self.clock.now_s += min(takes_s or self.takes_s, timeout_s)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    def close(self):
        pass

    after_fork = close


class AsyncWire:
    """The same, awaited."""

    def __init__(self, wire):
        self.wire = wire

    async def exchange(self, send):
        return self.wire.exchange(
            send.method,
            send.target,
            headers=send.headers,
            body=send.body,
            timeout_s=send.timeout_s,
        )


class Awaited:
    """The async client, of which each call is run to its end."""

    def __init__(self, *, wire, sleep, **options):
        async def slept(seconds):
            sleep(seconds)

        self._http = AsyncHttp(wire=AsyncWire(wire), sleep=slept, **options)

    def run(self, asked):
        return asyncio.run(self._http.run(asked))


@pytest.fixture(autouse=True, params=[Http, Awaited])
def client(request, monkeypatch):
    """The two clients, which have the same rules."""
    monkeypatch.setattr(request.module, "Client", request.param)


@pytest.fixture
def clock():
    return Clock()


Client = Http


def http(clock, *script, timeout_s=10.0, takes_s=0.0, dice=lambda: 0.5):
    wire = Wire(clock, *script, takes_s=takes_s)
    made = Client(
        root=root("http://billing:8000"), api_key="bk_1", timeout_s=timeout_s, wire=wire,
        clock=clock, sleep=clock.sleep, dice=dice,
    )  # fmt: skip
    return made, wire


def asked_once(wire, name="idempotency-key"):
    return len({one.get(name) for one in wire.sent}) == 1


@every("passing", [says(s) for s in (429, 500, 502, 503, 504)] + [LOST, REFUSED])
def test_what_passes_is_tried_again_under_the_same_key(passing):
    clock = Clock()
    asking, wire = http(clock, passing, passing, OK)
    assert asking.run(CHARGE)["charge_id"] == "ch_1"
    assert len(wire.sent) == 3
    assert asked_once(wire)
    assert asked_once(wire, "x-request-id")
    assert clock.slept == [0.1, 0.2]


@every("status", [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 501])
def test_what_does_not_pass_is_told_at_once(status):
    clock = Clock()
    asking, wire = http(clock, says(status, b'{"code": "of_tomorrow"}'))
    with pytest.raises(billing.BillingError) as refused:
        asking.run(CHARGE)
    assert len(wire.sent) == 1
    assert (refused.value.status, refused.value.code) == (status, "of_tomorrow")
    assert refused.value.idempotency_key == "order-1"


@pytest.mark.parametrize("failing", [says(503), LOST, REFUSED])
def test_no_call_outlives_its_timeout(clock, failing):
    asking, wire = http(clock, failing, timeout_s=10.0, takes_s=3.0, dice=random.random)
    began = clock()
    with pytest.raises(billing.Unavailable) as unavailable:
        asking.run(CHARGE)
    assert clock() - began <= 10.0
    assert len(wire.sent) >= 3
    assert unavailable.value.idempotency_key == "order-1"
    assert unavailable.value.request_id == wire.sent[0]["x-request-id"]


def test_a_service_that_hangs_is_given_half_of_what_is_left_each_time(clock):
    asking, wire = http(clock, LOST, takes_s=99.0, dice=lambda: 0.0)
    with pytest.raises(billing.Unavailable, match="http://billing:8000 did not answer: timed out"):
        asking.run(CHARGE)
    assert [one["timeout_s"] for one in wire.sent] == [5.0, 2.5, 1.25, 0.625, 0.625]


def test_a_connection_that_was_closed_while_it_was_kept_costs_no_pause(clock):
    asking, wire = http(clock, CLOSED, CLOSED, OK)
    asking.run(CHARGE)
    assert len(wire.sent) == 3
    assert clock.slept == []


def test_retry_after_is_obeyed(clock):
    asking, _ = http(clock, says(503, retry_after="4"), OK)
    asking.run(CHARGE)
    assert clock.slept == [4.1]


def test_who_is_told_to_wait_longer_than_it_may_is_told_so_at_once(clock):
    asking, wire = http(clock, says(429, retry_after="60"))
    with pytest.raises(billing.RateLimited) as refused:
        asking.run(CHARGE)
    assert refused.value.facts["retry_after_s"] == 60
    assert (len(wire.sent), clock.slept) == (1, [])


def test_pauses_grow_up_to_a_limit_and_are_random_below_it():
    failure = retries.Failure(billing.Unavailable(), may_repeat=True)
    longest = [retries.pause_s(failure, n, dice=lambda: 1.0) for n in range(1, 9)]
    assert longest == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert retries.pause_s(failure, 5, dice=lambda: 0.0) == 0.0


@every("failing", [LOST, CLOSED, says(500), says(502), says(504), says(503)])
def test_what_may_not_be_done_twice_is_not_sent_again_if_it_may_have_arrived(failing):
    clock = Clock()
    asking, wire = http(clock, failing, OK)
    with pytest.raises(billing.Unavailable):
        asking.run(ONCE)
    assert len(wire.sent) == 1


@pytest.mark.parametrize("failing", [REFUSED, says(429)])
def test_but_it_is_if_it_surely_did_not(clock, failing):
    asking, wire = http(clock, failing, OK)
    asking.run(ONCE)
    assert len(wire.sent) == 2


def test_a_delete_that_was_done_by_a_try_without_an_answer_is_done(clock):
    gone = says(404, b'{"code": "not_found"}')
    asking, _ = http(clock, LOST, gone)
    asking.run(DELETE)
    with pytest.raises(billing.NotFound):
        asking.run(DELETE)


@every("answer", [says(200, b"<html>"), says(200, b"[]"), says(200), says(301), says(404)])
def test_an_answer_that_is_not_ours_asks_about_the_url(answer):
    clock = Clock()
    asking, wire = http(clock, answer)
    with pytest.raises(billing.Unavailable, match=r"is the url right\?|set the url"):
        asking.run(Get("charge", "ch_1"))
    assert len(wire.sent) == 1


def test_waiting_asks_again_until_it_is_final(clock):
    final = says(200, b'{"charge_id": "ch_1", "state": "succeeded"}')
    asking, wire = http(clock, says(200, PENDING), says(200, PENDING), final)
    assert asking.run(Get("charge", "ch_1", wait_s=100.0))["state"] == "succeeded"
    assert [one.get("prefer") for one in wire.sent] == ["wait=30", "wait=30", "wait=30"]


def test_waiting_ends_with_the_charge_as_it_stands(clock):
    asking, wire = http(clock, says(200, PENDING))
    began = clock()
    assert asking.run(Get("charge", "ch_1", wait_s=45.0))["state"] == "pending"
    assert [one.get("prefer") for one in wire.sent] == ["wait=30", "wait=14", None, None, None]
    assert clock() - began == 45.0


def test_a_service_that_does_not_wait_is_not_asked_without_a_pause(clock):
    asking, wire = http(clock, says(200, PENDING))
    asking.run(Get("charge", "ch_1", wait_s=0.9))
    assert len(wire.sent) == 5
    assert clock.slept == pytest.approx([0.25, 0.25, 0.25, 0.15])


def test_waiting_outlives_a_service_that_is_away_for_a_while(clock):
    final = says(200, b'{"charge_id": "ch_1", "state": "failed"}')
    asking, _ = http(clock, REFUSED, REFUSED, says(503), final)
    assert asking.run(Get("charge", "ch_1", wait_s=5.0))["state"] == "failed"


def test_a_charge_that_is_waited_for_is_one_post_and_then_questions(clock):
    final = says(200, b'{"charge_id": "ch_1", "state": "succeeded"}')
    asking, wire = http(clock, OK, final)
    assert asking.run(Create("charge", FIELDS, wait_s=50.0))["state"] == "succeeded"
    assert [one["method"] for one in wire.sent] == ["POST", "GET"]
    assert [one["prefer"] for one in wire.sent] == ["wait=30", "wait=20"]


def test_a_wait_that_was_cut_off_is_taken_up_again_for_what_is_left_of_it(clock):
    asking, wire = http(clock, LOST, says(200, PENDING), takes_s=20.0, dice=lambda: 0.0)
    asking.run(Get("charge", "ch_1", wait_s=30.0))
    assert [one.get("prefer") for one in wire.sent] == ["wait=30", "wait=10"]
    assert wire.sent[1]["timeout_s"] == 15.0
