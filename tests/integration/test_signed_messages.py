"""Signed messages meet a real worker, on both brokers."""

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra.billing.broker import Broker
from infra.billing.broker_publisher import Post
from infra.billing.calls.described import Change, Create
from infra.billing.contract.ids import id_from_key
from infra.billing.contract.messages.message import QUEUE, call, message, signed
from infra.billing.contract.messages.task_names import CANCEL, CAPTURE
from infra.billing.contract.signatures import message_content, sign
from payments.access import keys
from payments.access.message_signatures import Proof, SignatureInvalid
from tests.conftest import environ_for
from tests.support.acting import Database
from tests.support.producer import Producer
from tests.support.programs import Programs
from tests.support.waiting import wait_for
from worker import signing
from worker.signing import FRESH_S, Signatures

CHARGE = {"amount": 1999, "currency": "USD"}


def a_signing_key(engine: Engine, producer: str) -> str:
    with Database(engine).transaction() as transaction:
        return keys.create_signing(transaction, producer=producer)[1]


def test_only_its_producer_can_ask_in_its_name(
    start_programs: Callable[..., Programs],
    database_url: str,
    broker_url: str,
    engine: Engine,
    tmp_path: Path,
) -> None:
    with Producer(broker_url) as producer:
        producer.declare()
    environ = environ_for(database_url, broker_url, tmp_path)
    start_programs(environ | {"BILLING_BROKER_SIGNATURES": "require"}).start("worker")
    shops, anothers = a_signing_key(engine, "shop"), a_signing_key(engine, "another")

    def asked(key: str) -> Any:
        return message("charge", {**CHARGE, "idempotency_key": key, "producer": "shop"})

    def row(statement: str) -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(text(statement)).scalars())

    by_sdk = Broker(broker_url, timeout_s=10, producer="shop", signing_key=shops)
    post = Post(broker_url, timeout_s=10)
    honest = asked("stolen")
    forged = [asked("unsigned"), signed(asked("by another"), anothers), signed(honest, anothers)]
    try:
        assert post.send(forged) == [None] * 3
        refused = "SELECT code FROM rejected_requests"
        wait_for(lambda: len(row(refused)) == 3, what="three refusals")
        # Its real producer sends the message whose id somebody else has used.
        assert post.send([signed(honest, shops)]) == [None]
        by_sdk.run(Create("charge", {**CHARGE, "idempotency_key": "order-1"}))
        by_sdk.create_batch("charge", [{**CHARGE, "idempotency_key": "order-2"}])
        done = "SELECT id FROM charges WHERE state = 'succeeded'"
        wait_for(lambda: len(row(done)) == 3, what="three charges")
    finally:
        post.close()
        by_sdk.close()
    assert row(refused) == ["signature_invalid"] * 3
    wanted = {
        id_from_key("charge", producer="shop", key=key) for key in ("stolen", "order-1", "order-2")
    }
    assert set(row("SELECT id FROM charges")) == wanted
    assert row("SELECT count(*) FROM events WHERE type = 'request.rejected'") == [3]
    assert row("SELECT count(*) FROM quarantined_messages") == [0]


# What a request about a charge may change.
TABLES = ("charges", "captures", "refunds", "attempts", "sandbox_requests", "sandbox_ledger")


def test_nobody_else_can_change_what_a_producer_asked_for(
    start_programs: Callable[..., Programs],
    database_url: str,
    broker_url: str,
    engine: Engine,
    tmp_path: Path,
) -> None:
    with Producer(broker_url) as producer:
        producer.declare()
    environ = environ_for(database_url, broker_url, tmp_path)
    start_programs(environ | {"BILLING_BROKER_SIGNATURES": "require"}).start("worker")
    shops, anothers = a_signing_key(engine, "shop"), a_signing_key(engine, "another")
    taken, held, let_go = (
        id_from_key("charge", producer="shop", key=key) for key in ("taken", "held", "let go")
    )

    def row(statement: str) -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(text(statement)).scalars())

    def states() -> dict[str, str]:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT id, phase, state FROM charges"))
            return {id_: f"{phase} {state}" for id_, phase, state in found}

    def everything() -> dict[str, list[Any]]:
        return {name: row(f"SELECT to_jsonb(t) FROM {name} t ORDER BY 1") for name in TABLES}

    def asked(task: str, **fields: Any) -> Any:
        return call(task, {**fields, "producer": "shop"}, queue=QUEUE)

    def all_asked() -> list[Any]:
        """A message of each task that changes something, under the same keys each time."""
        return [
            asked(CAPTURE, charge_id=held, amount=500, idempotency_key="capture"),
            asked(CANCEL, charge_id=let_go),
            asked("billing.refund.create", charge_id=taken, idempotency_key="refund"),
        ]

    by_sdk = Broker(broker_url, timeout_s=10, producer="shop", signing_key=shops)
    post = Post(broker_url, timeout_s=10)
    honest = all_asked()
    forged = [*all_asked(), *(signed(one, anothers) for one in (*all_asked(), *honest))]
    try:
        by_sdk.run(Create("charge", {**CHARGE, "idempotency_key": "taken"}))
        for key in ("held", "let go"):
            by_sdk.run(Create("charge", {**CHARGE, "capture": "manual", "idempotency_key": key}))
        authorized = "authorized pending"
        asked_for = {taken: "None succeeded", held: authorized, let_go: authorized}
        wait_for(states, until=lambda seen: seen == asked_for, what="three charges")
        before = everything()
        assert post.send(forged) == [None] * len(forged)
        refused = "SELECT code FROM rejected_requests"
        wait_for(lambda: len(row(refused)) == len(forged), what="a refusal of each")
        assert row(refused) == ["signature_invalid"] * len(forged)
        assert everything() == before
        # Their real producer is heard, under the same ids and keys.
        assert post.send([signed(honest[0], shops)]) == [None]
        by_sdk.run(Change("cancel", {"charge_id": let_go}))
        assert post.send([signed(honest[2], shops)]) == [None]
        done = {taken: "None succeeded", held: "None succeeded", let_go: "None failed"}
        wait_for(states, until=lambda seen: seen == done, what="a capture and a cancellation")
        refunds = "SELECT charge_id FROM refunds WHERE state = 'succeeded'"
        wait_for(lambda: row(refunds) == [taken], what="a refund")
    finally:
        post.close()
        by_sdk.close()
    assert row("SELECT amount_captured FROM charges WHERE amount_captured > 0") == [500]
    assert row(refused) == ["signature_invalid"] * len(forged)
    assert row("SELECT count(*) FROM quarantined_messages") == [0]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


KEY, OTHER = (f"key_{letter * 16}_{letter * 52}" for letter in "ab")


def a_proof(key: str | None) -> Proof:
    task, task_id = "billing.charge.create", uuid.uuid4().hex
    signed_bytes = message_content(task=task, task_id=task_id, body=b"[]")
    return Proof(signed_bytes, None if key is None else sign(key.encode(), signed_bytes))


def is_taken(signatures: Signatures, proof: Proof | None, **fields: Any) -> bool:
    with signing.presented(proof):
        try:
            signatures.check(fields)
        except SignatureInvalid as error:
            refusal = error
        else:
            return True
    assert refusal.param == "billing-signature"
    assert "key_" not in str(refusal)
    return False


@pytest.mark.parametrize(
    ("mode", "unsigned", "right", "wrong"),
    [("off", True, True, True), ("accept", True, True, False), ("require", False, True, False)],
)
def test_the_setting_says_what_is_taken(
    mode: Any, unsigned: bool, right: bool, wrong: bool
) -> None:
    signatures = Signatures(mode, {"shop": [KEY], "default": [OTHER]}.__getitem__)
    assert is_taken(signatures, a_proof(None), producer="shop") is unsigned
    assert is_taken(signatures, None, producer="shop") is unsigned
    assert is_taken(signatures, a_proof(KEY), producer="shop") is right
    assert is_taken(signatures, a_proof(OTHER), producer="shop") is wrong
    # Who names no producer is `default`, and signs as that.
    assert is_taken(signatures, a_proof(OTHER)) is right
    assert is_taken(signatures, a_proof(KEY)) is wrong
    for no_name in (5, None, ["shop"], "sh\x00op", "shöp"):
        assert is_taken(signatures, a_proof(KEY), producer=no_name) is wrong


@pytest.mark.parametrize("mode", ["accept", "require"])
@pytest.mark.parametrize("name", ["", "s" * 65, "s" * 250_000, "a shop", "shop\n", "sh\x00op", "ö"])
def test_what_is_no_producer_is_not_looked_up(mode: Any, name: str) -> None:
    asked: list[str] = []

    def read(producer: str) -> list[str]:
        asked.append(producer)
        return [KEY]

    assert not is_taken(Signatures(mode, read), a_proof(KEY), producer=name)
    assert asked == []


def test_threads_that_push_each_other_out_do_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "PRODUCERS_MAX", 1)
    signatures = Signatures("require", lambda _: [KEY])

    class Interrupted(OrderedDict[str, tuple[float, list[str]]]):
        """Lets another thread have its turn when `first` was put here, if it can have one."""

        def __setitem__(self, name: str, value: tuple[float, list[str]]) -> None:
            super().__setitem__(name, value)
            if name == "first":
                other.start()
                other.join(0.2)

    def take_another() -> None:
        assert is_taken(signatures, a_proof(KEY), producer="second")

    other = threading.Thread(target=take_another)
    signatures._known = Interrupted()
    assert is_taken(signatures, a_proof(KEY), producer="first")
    other.join()


def test_a_new_key_works_at_once_and_a_revoked_one_not_for_long() -> None:
    known, clock, asked = {"shop": [KEY]}, Clock(), []

    def read(producer: str) -> list[str]:
        asked.append(producer)
        return known[producer]

    signatures = Signatures("require", read, clock=clock)
    for _ in range(5):
        assert is_taken(signatures, a_proof(KEY), producer="shop")
    assert len(asked) == 1  # not for every message
    known["shop"] = [OTHER]
    assert is_taken(signatures, a_proof(OTHER), producer="shop")
    assert not is_taken(signatures, a_proof(KEY), producer="shop")
    known["shop"] = []
    clock.now += FRESH_S
    assert not is_taken(signatures, a_proof(OTHER), producer="shop")
