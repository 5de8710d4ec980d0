"""What was set aside, as a person finds it, sends it for another try, or is done with it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NoReturn

import pytest
import redis
from sqlalchemy import Engine

from infra.billing.contract.ids import id_from_key
from payments.audit.verify import verify
from payments.intake import quarantine, rejections
from service.settings import load
from service.wiring import REAL
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.programs import Programs
from tests.support.waiting import patience_s, wait_for
from worker.task_handlers import TaskHandlers

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
    assert (raw.code, raw.out) == (0, "{" + "*" * 16)
    assert "with card data masked; it may hold personal data" in raw.err
    plain = billing("quarantine", "show", a_broken_message(till, b"{ada"), "--raw")
    assert (plain.out, plain.err) == ("{ada", "as it came; it may hold personal data\n")


def test_card_data_is_masked_before_it_is_kept_in_all_that_is_kept(
    billing: Billing, till: Counter
) -> None:
    came = b'{"card":"4242 4242 4242 4242","cvc":"123"'
    with till.database.transaction() as transaction:
        rejections.quarantine(
            transaction, came, queue=f"q-{CARD}", reason=f"unknown task {CARD}",
            headers={"id": CARD, "argsrepr": f"({CARD},)"},
        )  # fmt: skip
    (row,) = till.query("SELECT q.*, q::text AS whole FROM quarantined_messages q")
    assert bytes(row["raw"]) == b'{"card":"**** **** **** ****","cvc":"***"'
    assert (row["masked"], row["size"]) == (True, len(came))
    assert row["sha256"] == hashlib.sha256(bytes(row["raw"])).hexdigest()
    assert CARD not in row["whole"]
    listed = billing("quarantine", "list", "--json")
    assert listed.json[0]["masked"] is True
    assert listed.json[0]["reason"] == f"unknown task {'*' * 16}"
    assert CARD not in listed.out


def test_the_same_message_with_another_card_in_it_is_kept_once(till: Counter) -> None:
    for card in (CARD, CARD, "5555555555554444"):
        a_broken_message(till, f'{{"card": {card}'.encode(), id="x")
    assert in_quarantine(till) == 1
    # Without an id, two that differ in their cards alone may be two: none is dropped.
    for card in (CARD, "5555555555554444"):
        a_broken_message(till, f'{{"card": {card}'.encode())
    assert in_quarantine(till) == 3


def test_what_was_masked_is_not_what_its_sender_asked_for_and_is_not_released(
    billing: Billing, till: Counter
) -> None:
    hit_a_bug("task-1", {**CHARGE, "metadata": {"note": f"card {CARD}"}})
    id_ = newest_id(till)
    told = billing("quarantine", "release", id_)
    assert told.code == 1
    assert "card data was masked in it" in told.err
    assert "send it without card data" in told.err
    assert in_quarantine(till) == 1
    shown = billing("quarantine", "show", id_, "--json").json
    assert (shown["masked"], shown["request"]["fields"]["amount"]) == (True, 1999)
    assert billing("quarantine", "dismiss", id_, "--why", "sent again").code == 0


def test_what_an_older_version_kept_is_shown_masked_and_masked_for_good_by_a_sweep(
    billing: Billing, till: Counter, engine: Engine
) -> None:
    kept = {"task": "billing.charge.create", "id": "t", "kwargs": {**CHARGE, "reference": CARD}}
    for raw, headers, reason in (
        (json.dumps(kept), None, "internal error ZeroDivisionError"),
        ("{", json.dumps({"id": CARD}), f"unknown task {CARD}"),
        ("harmless", None, "not JSON"),
        # Numbers that only Python's own reader takes as they are.
        ("{", f'{{"n": 1e400, "id": {CARD}1234123}}', "no task name in the headers"),
    ):
        till.query(
            "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw, headers)"
            " VALUES ('payments', :reason, 'old', 1, convert_to(:raw, 'UTF8'), :headers)"
            " RETURNING id",
            raw=raw, reason=reason, headers=headers,
        )  # fmt: skip
    first = str(billing("quarantine", "list", "--json").json[-1]["id"])
    assert "card data was masked" in billing("quarantine", "release", first).err
    raw = billing("quarantine", "show", first, "--raw")
    assert CARD not in raw.out
    assert "with card data masked" in raw.err
    assert CARD not in billing("quarantine", "list").out
    from worker.app import app

    handlers = TaskHandlers(app, load())
    for _ in range(4):  # one message a sweep
        handlers.sweep("payments")
    handlers.close()
    rows = till.query("SELECT q.masked, q.sha256, q::text AS whole FROM quarantined_messages q")
    assert sorted((row["masked"], row["sha256"] == "old") for row in rows) == [
        (False, True), (True, False), (True, False), (True, False)
    ]  # fmt: skip
    assert CARD not in str(rows) + str(
        till.query("SELECT encode(raw, 'escape') FROM quarantined_messages")
    )


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
        lambda: till.query("SELECT 1 FROM charges WHERE id = :id", id=charge_id), what="the charge"
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
    failing.join(patience_s())
    assert in_quarantine(till) == 1


def test_without_a_broker_nothing_counts_as_released(
    billing: Billing, till: Counter, programs: Programs
) -> None:
    hit_a_bug("task-1", CHARGE)
    programs.environ["BILLING_BROKER_URL"] = "redis://127.0.0.1:1/0"
    told = programs.run("quarantine", "release", newest_id(till))
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
    for why in (" ", f"it held {CARD}"):
        assert "[invalid_request: why]" in billing("quarantine", "dismiss", id_, "--why", why).err
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
