"""What is about one customer is taken out, and the books stay: no repeat moves money again."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.billing import webhook
from models import Charge, Refund
from models.base import table_of
from payments.acting import person
from payments.audit.verify import is_sound, verify
from payments.keeping import erasing, personal
from payments.keeping.erasing import Found
from payments.payment_errors import InvalidRequest, KeyReused, MoveNotAllowed
from payments.webhooks.replays import replay
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.sandbox import STATEMENTS
from tests.support.sink import Answer, Received, Sink
from tests.support.webhooks import a_deliverer, an_endpoint, pending_is_asked_for, rows

ANNA = "cus_anna_4711"
ASKED = {
    "customer_id": ANNA,
    "payment_method_id": "pm_card_visa",
    "description": "for Anna’s flat",
    "statement_descriptor": "Anna 4711 flat",
    "receipt_email": "anna.4711@example.com",
    "metadata": {"email": "anna@example.com"},
    "reference": "order-17",
    "idempotency_key": "anna-1",
}
BY = person("ops", why="GDPR request 12")
TELLTALES = (ANNA, "pm_card_visa", "Anna’s", "Anna 4711", "anna.4711@", "anna@example.com")
TABLES = (
    "charges", "refunds", "events", "attempts", "deliveries", "delivery_attempts",
    "rejected_requests", "quarantined_messages", "requests_made", "audit_log",
)  # fmt: skip


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as busy:
        yield busy


def erase(engine: Engine, **options: Any) -> Found:
    with Database(engine, acting=BY).transaction() as transaction:
        return erasing.erase_some(transaction, ANNA, **options)


def erase_messages(engine: Engine) -> Found:
    with Database(engine).transaction() as transaction:
        return erasing.erase_messages(transaction, ANNA)


def bought(till: Counter) -> dict[str, Any]:
    """A charge of Anna's, refunded in part for reasons that she gave."""
    charge = till.charge(**ASKED)
    till.refund(charge["id"], amount=100, reason="Anna’s moved", metadata={"note": "Anna’s"})
    return dict(charge)


def everything(engine: Engine) -> str:
    """All that the database holds of ours, as text."""
    return str([dict(row) for name in TABLES for row in rows(engine, f"SELECT * FROM {name}")])


def drained(engine: Engine, endpoint_id: str) -> int:
    with a_deliverer(engine) as deliverer:
        return deliverer.drain(endpoint_id).delivered


def test_nothing_about_the_customer_is_left_and_the_books_stay(till: Counter, sink: Sink) -> None:
    engine = till.engine
    endpoint = an_endpoint(engine, sink.url)

    def thanks(received: Received) -> Answer:
        return Answer(200, body=ANNA.encode() if ANNA.encode() in received.body else b"thanks")

    sink.answer = thanks
    pending_is_asked_for(engine)
    charge = bought(till)
    other = till.charge(customer_id="cus_other", description="for Ben", idempotency_key="ben-1")
    assert drained(engine, endpoint.id) == 3
    (before,) = rows(engine, "SELECT * FROM charges WHERE id = :id", id=charge["id"])
    assert all(telltale in everything(engine) for telltale in TELLTALES)
    assert erase(engine) == Found(charges=1, refunds=1, events=4, answers=2)
    assert not [telltale for telltale in TELLTALES if telltale in everything(engine)]
    (after,) = rows(engine, "SELECT * FROM charges WHERE id = :id", id=charge["id"])
    assert {name for name in before if before[name] != after[name]} <= {
        *personal.CHARGE, "attempts",
    }  # fmt: skip
    (kept,) = rows(engine, "SELECT * FROM charges WHERE id = :id", id=other["id"])
    assert (kept["customer_id"], kept["description"]) == ("cus_other", "for Ben")
    assert is_sound(list(verify(engine, statements=STATEMENTS)))
    assert erase(engine) == Found()


def test_a_repeat_is_answered_the_same_charge_and_moves_nothing(till: Counter) -> None:
    charge = bought(till)
    erase(till.engine)
    again = till.charge(**ASKED)
    assert again["id"] == charge["id"]
    assert again["customer_id"] is None
    moved = till.query("SELECT amount FROM sandbox_ledger WHERE object_id = :id", id=charge["id"])
    assert [row["amount"] for row in moved] == [1000]
    with pytest.raises(KeyReused):
        till.charge(**{**ASKED, "amount": 1001})


def test_an_event_keeps_its_id_and_number_and_is_sent_again_without_the_person(
    till: Counter, sink: Sink
) -> None:
    engine = till.engine
    endpoint = an_endpoint(engine, sink.url)
    pending_is_asked_for(engine)
    bought(till)
    before = rows(engine, "SELECT id, position, sequence, type FROM events ORDER BY position")
    erase(engine)
    assert rows(engine, "SELECT id, position, sequence, type FROM events ORDER BY position") == (
        before
    )
    assert drained(engine, endpoint.id) == 2
    with Database(engine).transaction() as transaction:
        replay(transaction, endpoint.id, event_ids=[row["id"] for row in before])
    assert drained(engine, endpoint.id) == 4
    for received in sink.requests:
        event = webhook.verify(received.body, received.headers, endpoint.secrets[0])
        assert not [telltale for telltale in TELLTALES if telltale in received.body.decode()]
        if event.type == "charge.succeeded":
            assert (event.data["amount"], event.data["reference"]) == (1000, "order-17")
            assert (event.data["customer_id"], event.data["metadata"]) == (None, {})


def test_who_did_it_and_why_stays_in_the_history(till: Counter) -> None:
    charge = bought(till)
    erase(till.engine)
    told = till.query(
        "SELECT a.* FROM attempts a JOIN charges c ON c.id = a.object_id AND c.attempts = a.number"
        " WHERE a.object_id = :id",
        id=charge["id"],
    )
    assert [(r["verb"], r["worker"], r["outcome"], r["detail"]) for r in told] == [
        ("erase", "ops", "erased", "GDPR request 12")
    ]


def test_some_at_a_time_and_whoever_was_interrupted_begins_again(till: Counter) -> None:
    for number in range(5):
        till.charge(customer_id=ANNA, idempotency_key=f"anna-{number}")

    def killed() -> None:
        with Database(till.engine, acting=BY).transaction() as transaction:
            erasing.erase_some(transaction, ANNA, limit=2)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed()
    assert [erase(till.engine, limit=2).charges for _ in range(4)] == [2, 2, 1, 0]


def test_only_of_one_producer(till: Counter) -> None:
    till.charge(customer_id=ANNA, idempotency_key="1", producer="shop")
    till.charge(customer_id=ANNA, idempotency_key="2", producer="bar")
    assert erase(till.engine, producer="shop").charges == 1
    left = till.query("SELECT producer FROM charges WHERE customer_id IS NOT NULL")
    assert [row["producer"] for row in left] == ["bar"]


def test_while_something_is_pending_nothing_is_erased(till: Counter) -> None:
    bought(till)
    waiting = till.charge(
        customer_id=ANNA, idempotency_key="w", payment_method_id="pm_sandbox_requires_action"
    )
    with pytest.raises(MoveNotAllowed, match=waiting["id"]):
        erase(till.engine)
    assert len(till.query("SELECT id FROM charges WHERE customer_id IS NOT NULL")) == 2
    with till.engine.connect() as connection:
        assert erasing.look(connection, ANNA).waiting == [waiting["id"]]


@every(
    "raw",
    [
        json.dumps({"customer_id": ANNA}).encode(),
        base64.b64encode(json.dumps([[], {"customer_id": ANNA}, {}]).encode()),
        base64.b64encode(json.dumps({"c": ANNA}).encode()),
        base64.b64encode(json.dumps({"cu": ANNA}).encode()),
    ],
)
def test_messages_in_quarantine_that_name_the_customer_are_emptied(
    engine: Engine, raw: bytes
) -> None:
    rows(engine, "DELETE FROM quarantined_messages")
    statement = """
        INSERT INTO quarantined_messages (queue, reason, sha256, size, raw, released_at)
        VALUES ('q', 'r', 's', 1, :raw, NULL), ('q', 'r', 's', 1, 'Ben', now())
    """
    rows(engine, statement, raw=raw)
    with pytest.raises(MoveNotAllowed, match=r"message \d+ in quarantine"):
        erase_messages(engine)
    rows(engine, "UPDATE quarantined_messages SET released_at = now()")
    assert erase_messages(engine) == Found(messages=1)
    assert erase_messages(engine) == Found()
    left = rows(engine, "SELECT raw FROM quarantined_messages ORDER BY id")
    assert [bytes(row["raw"]) for row in left] == [b"", b"Ben"]


def test_what_comes_when_the_customer_is_erased_already_is_erased_of_its_charge(
    till: Counter, billing: Billing
) -> None:
    charge_id = till.charge(customer_id=ANNA)["id"]
    erased = ("erase", "customer", ANNA, "--why", "GDPR request 12", "--yes", "--json")
    assert billing(*erased).json["charges"] == 1
    till.refund(charge_id, amount=100, reason=f"{ANNA} was ill")
    assert billing(*erased).json["charges"] == 0
    asked = ("erase", "charge", charge_id, "--why", "GDPR request 12")
    told = billing(*asked, "--json").json
    assert (told["erased"], told["charges"], told["refunds"]) == (False, 1, 1)
    assert ANNA in everything(till.engine)
    assert billing(*asked, "--yes", "--json").json["refunds"] == 1
    assert ANNA not in everything(till.engine)
    gone = billing("erase", "charge", "ch_" + "a" * 32, "--why", "x", "--yes")
    assert (gone.code, "there is no charge" in gone.err) == (1, True)


@every("said", [{"why": ""}, {"why": "a\nb"}, {"who": " "}, {"why": "card 4242424242424242"}])
def test_why_is_said_in_a_line_without_card_data(said: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        erasing.check(person(said.get("who", "ops"), why=said.get("why", "GDPR request 12")))


def test_every_text_of_a_charge_and_a_refund_is_erased_or_stays_for_a_reason() -> None:
    state = {
        "state",
        "phase",
        "currency",
        "settlement_currency",
        "capture",
        "if_pending",
        "lease_token",
    }
    for model, erased in ((Charge, personal.CHARGE), (Refund, personal.REFUND)):
        texts = {
            column.name
            for column in table_of(model).c
            if any(kind in str(column.type) for kind in ("CHAR", "TEXT", "JSON", "BYTEA"))
        }
        assert erased.keys() <= texts
        assert texts - erased.keys() - personal.STAYS.keys() - state == set()


def test_the_command_tells_first_and_does_it_when_asked(till: Counter, billing: Billing) -> None:
    pending_is_asked_for(till.engine)
    bought(till)
    asked = ("erase", "customer", ANNA, "--why", "GDPR request 12")
    told = billing(*asked, "--json").json
    assert (told["erased"], told["charges"], told["refunds"]) == (False, 1, 1)
    assert "idempotency_key" in told["stays"]
    assert "a repeat must find it" in billing(*asked).out
    assert len(till.query("SELECT id FROM charges WHERE customer_id IS NOT NULL")) == 1
    # Whose a message in quarantine is, nobody knows.
    rows(till.engine, "INSERT INTO quarantined_messages (queue, reason, sha256, size, raw)"
         " VALUES ('q', 'r', 's', 1, :raw)", raw=ANNA.encode())  # fmt: skip
    with_producer = billing(*asked, "--producer", "nobody", "--yes", "--json").json
    assert (with_producer["charges"], with_producer["messages"]) == (0, 0)
    assert "left alone" in billing(*asked, "--producer", "nobody").out
    rows(till.engine, "DELETE FROM quarantined_messages")
    done = billing(*asked, "--yes", "--json").json
    assert (done["erased"], done["charges"], done["events"]) == (True, 1, 4)
    assert billing(*asked, "--yes", "--json").json["charges"] == 0
    assert ANNA not in everything(till.engine)
