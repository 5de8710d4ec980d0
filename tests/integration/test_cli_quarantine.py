"""What was set aside, as a person finds it, sends it for another try, or is done with it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NoReturn

import pytest
import redis
from sqlalchemy import Engine

from models.ids import id_from_key
from payments.audit.verify import verify
from payments.intake import quarantine, rejections
from service.settings import load
from service.wiring import REAL
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.programs import Programs
from tests.support.waiting import wait_for
from worker.handlers import TaskHandlers

CARD = "4242424242424242"
CHARGE = {"amount": 1999, "currency": "USD", "customer_id": "ada@example.org", "producer": "shop"}


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


def a_broken_message(till: Counter, raw: bytes = CARD.encode(), **headers: object) -> str:
    """Kept by the worker's consumer; returns its id."""
    with till.database.transaction() as transaction:
        rejections.quarantine(
            transaction, raw, queue="payments", reason="no [args] in it", headers=headers
        )
    return newest_id(till)


def newest_id(till: Counter) -> str:
    (row,) = till.query("SELECT max(id) AS id FROM quarantined_messages")
    return str(row["id"])


def hit_a_bug(task_id: str, fields: dict[str, Any]) -> None:
    """What a worker does with a request on which our own code breaks."""
    from worker.app import app

    def broken(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError

    handlers = TaskHandlers(app, load(), replace(REAL, begin=broken))
    with pytest.raises(ZeroDivisionError):
        handlers.create("charge", fields, task_id=task_id)
    handlers.close()


def in_quarantine(till: Counter) -> int:
    return next(
        f.broken
        for f in verify(till.engine, statements={})
        if f.invariant.name == "messages can be read"
    )


def test_the_list_says_why_and_nothing_of_what_is_in_them(billing: Billing, till: Counter) -> None:
    assert billing("quarantine", "list").err == "nothing lies in quarantine\n"
    ids = [a_broken_message(till, f"{CARD} {n}".encode()) for n in range(3)]
    listed = billing("quarantine", "list", "--json").json
    assert [str(one["id"]) for one in listed] == ids[::-1]
    assert (listed[0]["state"], listed[0]["size"], len(listed[0]["sha256"])) == ("kept", 18, 64)
    assert len(billing("quarantine", "list", "--limit", "2", "--json").json) == 2
    table = billing("quarantine", "list").out
    assert "no [args] in it" in table
    assert listed[0]["sha256"][:12] in table
    assert listed[0]["sha256"] not in table
    assert CARD not in table + str(listed)


def test_hundreds_of_messages_come_in_parts_and_none_is_missing(
    billing: Billing, till: Counter
) -> None:
    till.query(
        "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
        " SELECT 'payments', 'not JSON', n, 1, 'x' FROM generate_series(1, 250) n"
    )
    listed = billing("quarantine", "list", "--json", "--limit", "1000").json
    assert [one["id"] for one in listed] == sorted({one["id"] for one in listed}, reverse=True)
    assert len(listed) == 250


def test_only_harmless_headers_are_shown_and_the_message_only_when_asked(
    billing: Billing, till: Counter
) -> None:
    id_ = a_broken_message(
        till, b"{" + CARD.encode(), task="billing.charge.crate", id=CARD, lang=["x"],
        argsrepr=CARD, origin="ada",
    )  # fmt: skip
    shown = billing("quarantine", "show", id_, "--json")
    assert shown.json["headers"] == {
        "lang": "<list>", "task": "billing.charge.crate", "id": "<str>", "hidden": 2
    }  # fmt: skip
    assert CARD not in shown.out + billing("quarantine", "show", id_).out
    raw = billing("quarantine", "show", id_, "--raw")
    assert (raw.code, raw.out) == (0, "{" + CARD)
    assert "may hold personal data" in raw.err


def test_a_request_that_a_bug_kept_is_released_and_carried_out(
    billing: Billing, till: Counter, programs: Programs
) -> None:
    hit_a_bug("task-1", CHARGE)
    id_ = newest_id(till)
    assert in_quarantine(till) == 1
    request = billing("quarantine", "show", id_, "--json").json["request"]
    assert (request["task"], request["id"]) == ("billing.charge.create", "task-1")
    assert (request["fields"]["amount"], request["fields"]["customer_id"]) == (1999, "<str>")
    released = billing("quarantine", "release", id_, "--json").json
    assert released["state"] == "released"
    assert in_quarantine(till) == 0
    programs.start("worker")
    charge_id = id_from_key("charge", producer="shop", key="task-1")
    wait_for(
        lambda: till.query("SELECT 1 FROM charges WHERE id = :id", id=charge_id), deadline_s=30
    )


def test_nothing_is_released_twice(billing: Billing, till: Counter, redis_url: str) -> None:
    hit_a_bug("task-1", CHARGE)
    id_ = newest_id(till)
    assert billing("quarantine", "release", id_).code == 0
    again = billing("quarantine", "release", id_)
    assert (again.code, again.err) == (1, "it is released already [move_not_allowed: id]\n")
    (message,) = redis.Redis.from_url(redis_url).lrange("payments", 0, -1)
    assert json.loads(message)["headers"]["id"] == "task-1"


def test_one_that_fails_again_after_its_release_is_kept_again(
    billing: Billing, till: Counter
) -> None:
    for _ in range(2):
        hit_a_bug("task-1", CHARGE)
    assert in_quarantine(till) == 1
    assert billing("quarantine", "release", newest_id(till)).code == 0
    hit_a_bug("task-1", CHARGE)
    assert in_quarantine(till) == 1


def test_one_that_fails_again_while_it_is_being_released_is_kept_again(
    billing: Billing, till: Counter
) -> None:
    hit_a_bug("task-1", CHARGE)
    failing = threading.Thread(target=hit_a_bug, args=("task-1", CHARGE))
    with till.database.transaction() as transaction:
        quarantine.release(transaction, int(newest_id(till)))
        failing.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_for(lambda: till.query(waiting), what="the second failure to wait")
    failing.join(30)
    assert in_quarantine(till) == 1


def test_without_a_broker_nothing_counts_as_released(
    billing: Billing, till: Counter, programs: Programs
) -> None:
    hit_a_bug("task-1", CHARGE)
    programs.environ["BILLING_BROKER_URL"] = "redis://127.0.0.1:1/0"
    told = programs.run("quarantine", "release", newest_id(till), deadline_s=90.0)
    assert told.returncode == 1
    assert "the broker does not answer" in told.stderr
    assert "Traceback" not in told.stderr
    assert in_quarantine(till) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"not JSON",
        b"\xff",
        b"[]",
        json.dumps({"task": "billing.charge.create", "id": "x", "kwargs": CHARGE}).encode(),
    ],
)
def test_what_is_no_request_is_not_released(billing: Billing, till: Counter, raw: bytes) -> None:
    id_ = a_broken_message(till, raw)
    told = billing("quarantine", "release", id_)
    assert told.code == 1
    assert "it is not a request that can be tried again" in told.err
    assert in_quarantine(till) == 1


def test_a_message_is_dismissed_with_a_reason_and_verify_forgets_it(
    billing: Billing, till: Counter
) -> None:
    id_ = a_broken_message(till)
    assert billing("quarantine", "dismiss", id_).code == 2
    assert "[invalid_request: why]" in billing("quarantine", "dismiss", id_, "--why", " ").err
    done = billing("quarantine", "dismiss", id_, "--why", "a probe of ours", "--json").json
    assert (done["state"], done["dismissed_why"]) == ("dismissed", "a probe of ours")
    assert in_quarantine(till) == 0
    for verb in (("dismiss", id_, "--why", "x"), ("release", id_)):
        assert "it is dismissed already" in billing("quarantine", *verb).err


@pytest.mark.parametrize("verb", [("show",), ("release",), ("dismiss", "--why", "x")])
def test_an_unknown_message_is_refused(billing: Billing, verb: tuple[str, ...]) -> None:
    assert "[not_found: id]" in billing("quarantine", *verb, "7").err
    assert billing("quarantine", *verb, "7").code == 1
    assert billing("quarantine", *verb, "seven").code == 2


def test_raw_bytes_are_not_asked_for_as_json(billing: Billing, till: Counter) -> None:
    assert billing("quarantine", "show", a_broken_message(till), "--raw", "--json").code == 2


def test_refused_requests_are_listed(billing: Billing, till: Counter) -> None:
    assert billing("rejected", "list").err == "no request was refused\n"
    first, second = (
        till.refuse({"amount": 1.5, "currency": "USD", "customer_id": CARD, **more}, f"task-{n}")
        for n, more in enumerate([{}, {"idempotency_key": "k", "producer": "shop"}])
    )
    table = billing("rejected", "list").out
    assert "for USD 1.5 send amount=150" in table
    assert CARD not in table
    listed = billing("rejected", "list", "--json").json
    assert [one["id"] for one in listed] == [second, first]
    assert (listed[0]["producer"], listed[0]["param"]) == ("shop", "amount")
    assert len(billing("rejected", "list", "--limit", "1", "--json").json) == 1
