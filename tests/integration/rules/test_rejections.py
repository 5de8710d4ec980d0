"""Bad input never vanishes, whatever is in it, and gives nothing away."""

import json
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from api.description.event_bodies import event
from api.description.schemas import standing_alone
from infra.billing.contract.ids import Kind
from infra.billing.contract.limits import TEXT_MAX
from infra.billing.contract.objects import RejectedRequest
from infra.billing.contract.objects.object_fields import fields_of
from infra.billing.contract.requests import rules
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from payments import parsing, redaction
from payments.intake import rejections
from payments.lifecycle.claims import Claimed
from payments.lifecycle.database_steps import Begun
from payments.parsing import parse
from payments.payment_errors import (
    ChargeNotRefundable,
    InsufficientInventory,
    InvalidRequest,
    KeyReused,
    ReferenceInUse,
    Refused,
)
from payments.processors.outcomes import Declined
from tests.support.every import every
from tests.support.factories import (
    SUCCEEDED,
    Till,
    a_charge,
    a_count,
    a_key,
    a_refund,
    a_sale,
)

REQUESTS = {"charge": ChargeRequest, "refund": RefundRequest}
DECLINED = Declined("card_declined", "The card was declined.", "declined")
GOOD = {"amount": 100, "currency": "USD"}


def refused_and_kept(till: Till, kind: Kind, fields: dict[str, Any]) -> dict[str, Any]:
    """The row of a request that its parser refuses."""
    with pytest.raises(InvalidRequest) as refusal:
        parse(REQUESTS[kind], fields)
    return kept(till, kind, refusal.value, fields, task_id=a_key())


def kept(
    till: Till, kind: Kind, refused: Refused, fields: dict[str, Any], *, task_id: str | None
) -> dict[str, Any]:
    with till.database.transaction() as transaction:
        id_ = rejections.record(
            transaction,
            f"billing.{kind}.create",
            refused=refused,
            fields=fields,
            task_id=task_id,
        )
    (row,) = till.query("SELECT * FROM rejected_requests WHERE id = :id", id=id_)
    assert till.events(id_) == ["request.rejected"]
    return dict(row)


@every(
    "fields",
    [
        {"amount": 1e400, "currency": "USD"},
        {"amount": -1e400},
        {"amount": float("nan")},
        {"amount": 10**70},
        {"amount": [1]},
        {**GOOD, "currency": "\ud800"},
        {**GOOD, "currency": "a\x00"},
        {**GOOD, "idempotency_key": "\udfff"},
        {**GOOD, "idempotency_key": "\x00"},
        {**GOOD, "producer": "\ud800"},
        {**GOOD, "producer": 5},
        {**GOOD, "\ud800": 1},
        {**GOOD, "\x00": 1},
        {**GOOD, "x" * 1000: 1},
        {**GOOD, "metadata": {"\ud800": "\x00"}},
        {},
    ],
)
def test_a_refused_request_is_kept_whatever_is_in_it(till: Till, fields: dict[str, Any]) -> None:
    for kind in ("charge", "refund"):
        row = refused_and_kept(till, kind, fields)
        assert row["code"] == "invalid_request"
        assert row["detail"]


def test_a_refusal_is_found_by_the_key_and_by_the_id_it_would_have_had(till: Till) -> None:
    fields = {"amount": 5.0, "currency": "USD", "idempotency_key": a_key(), "producer": "shop"}
    row = refused_and_kept(till, "charge", fields)
    good = parse(ChargeRequest, {**fields, "amount": 500})
    assert row["object_id"] == good.id
    assert (row["producer"], row["idempotency_key"]) == ("shop", fields["idempotency_key"])
    assert "or amount=500 if you mean USD 5" in row["detail"]


def test_only_harmless_values_are_kept(till: Till) -> None:
    fields = {
        "amount": "4242424242424242" * 5, "currency": "usd", "customer_id": "cus_1",
        "payment_method_id": "4242424242424242", "metadata": {"email": "a@example.org"},
        "description": "a@example.org", "card": "4242424242424242",
    }  # fmt: skip
    row = refused_and_kept(till, "charge", fields)
    assert row["request"] == {
        "amount": "<str>", "currency": "usd", "customer_id": "<str>", "payment_method_id": "<str>",
        "metadata": "<dict>", "description": "<str>", "card": "<str>",
    }  # fmt: skip
    assert "4242" not in str(row)
    (event,) = till.query("SELECT body FROM events WHERE object_id = :id", id=row["id"])
    assert "4242" not in event["body"]
    assert "example.org" not in event["body"]


def test_a_card_number_or_an_address_is_kept_and_told_nowhere(till: Till) -> None:
    card, person = "4242424242424242", "ada@example.org"
    kept_and_told = []
    for value in (card, person, int(card)):
        for name in ("amount", "currency", "charge_id", "producer", "price_id", "quantity"):
            row = refused_and_kept(till, "charge", {**GOOD, name: value})
            (event,) = till.query("SELECT body FROM events WHERE object_id = :id", id=row["id"])
            kept_and_told.append(f"{row} {event['body']}")
    row = refused_and_kept(till, "charge", {**GOOD, card: 1, person: 2})
    (event,) = till.query("SELECT body FROM events WHERE object_id = :id", id=row["id"])
    kept_and_told.append(f"{row} {event['body']}")
    for text in kept_and_told:
        assert card not in text
        assert person not in text


def test_a_key_that_is_too_long_is_neither_looked_through_nor_kept(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []
    monkeypatch.setattr(redaction, "holds_card_data", searched.append)
    for module in (rules, parsing):  # what it may ask of shorter texts
        monkeypatch.setattr(module, "holds_card_data", searched.append)
    longest = (a_key() + "k" * TEXT_MAX)[:TEXT_MAX]
    row = refused_and_kept(till, "charge", {**GOOD, "amount": 0, "idempotency_key": longest})
    assert row["idempotency_key"] == longest
    row = refused_and_kept(till, "charge", {**GOOD, "idempotency_key": "4-" * 125_000})
    assert (row["idempotency_key"], row["object_id"]) == (None, None)
    assert row["param"] == "idempotency_key"
    assert max(map(len, searched)) == TEXT_MAX


def test_a_message_that_comes_twice_is_refused_once(till: Till) -> None:
    fields = {**GOOD, "idempotency_key": a_key()}
    for _ in range(3):
        row = kept(till, "charge", KeyReused(), fields, task_id=f"task-{fields['idempotency_key']}")
    assert row["code"] == "idempotency_key_reused"


def test_a_refusal_without_a_message_is_kept_each_time(till: Till) -> None:
    fields = {**GOOD, "idempotency_key": a_key()}
    one, other = (kept(till, "charge", KeyReused(), fields, task_id=None) for _ in range(2))
    assert one["id"] != other["id"]


def test_a_broken_message_is_kept_once_per_queue(till: Till) -> None:
    raw = a_key().encode() + b"\x00\xff"
    for queue in ("payments", "payments", "webhooks"):
        with till.database.transaction() as transaction:
            rejections.quarantine(transaction, raw, queue=queue, reason="no body", headers={"a": 1})
    rows = till.query("SELECT * FROM quarantined_messages WHERE size = :size", size=str(len(raw)))
    assert sorted(r["queue"] for r in rows if bytes(r["raw"]) == raw) == ["payments", "webhooks"]


def test_broken_messages_with_the_same_body_are_told_apart_by_task_and_id(till: Till) -> None:
    raw = a_key().encode()
    for id_ in ("one", "two", "two"):
        with till.database.transaction() as transaction:
            rejections.quarantine(
                transaction,
                raw,
                queue="payments",
                reason="no task",
                headers={"id": id_, "redelivered": True},
            )
    rows = till.query("SELECT * FROM quarantined_messages WHERE size = :size", size=str(len(raw)))
    assert [r["headers"]["id"] for r in rows if bytes(r["raw"]) == raw] == ["one", "two"]


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("a\x00b", "ab"),
        ("\ud800", "?"),
        (float("nan"), "nan"),
        ({"\x00": [float("inf")]}, {"": ["inf"]}),
        (10**400, 10**400),
    ],
)
def test_a_message_is_quarantined_whatever_its_headers_hold(
    till: Till, header: object, kept: object
) -> None:
    raw = a_key().encode()
    with till.database.transaction() as transaction:
        rejections.quarantine(
            transaction, raw, queue="payments", reason="no task", headers={"task": header}
        )
    rows = till.query("SELECT * FROM quarantined_messages WHERE size = :size", size=str(len(raw)))
    assert [r["headers"]["task"] for r in rows if bytes(r["raw"]) == raw] == [kept]


@pytest.mark.parametrize("kind", ["charge", "refund"])
@pytest.mark.parametrize("fields", [{}, {**GOOD, "idempotency_key": "k", "amount": 1.5}])
def test_what_is_told_is_what_is_documented(till: Till, kind: Kind, fields: dict[str, Any]) -> None:
    row = refused_and_kept(till, kind, fields)
    (told,) = till.query("SELECT body FROM events WHERE object_id = :id", id=row["id"])
    body = json.loads(told["body"])
    schema = dict(standing_alone(event("request.rejected")))
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(body)
    assert list(body["data"]) == list(fields_of(RejectedRequest))


# --- The same message again ---


def by_message(till: Till, request: ChargeRequest | RefundRequest, task_id: str) -> Begun:
    """What the broker's door does with a message: a refusal is kept and told."""
    item = replace(till.begin_of(request), task_id=task_id)
    (begun,) = till.begin(item)
    if isinstance(begun, Refused):
        kind: Kind = "charge" if isinstance(request, ChargeRequest) else "refund"
        with till.database.transaction() as transaction:
            fields = request.model_dump(exclude_none=True)
            rejections.record(
                transaction,
                f"billing.{kind}.create",
                refused=begun,
                fields=fields,
                task_id=task_id,
                fingerprint=request.fingerprint,
            )
    return begun


def test_a_message_that_was_refused_for_want_of_stock_stays_refused(till: Till) -> None:
    price_id = till.price(stock=0)
    sale, task_id = a_sale(price_id), a_key()
    first = by_message(till, sale, task_id)
    assert isinstance(first, InsufficientInventory)
    till.count(price_id, a_count(5))
    again = by_message(till, sale, task_id)
    assert isinstance(again, InsufficientInventory)
    assert (str(again), again.param) == (str(first), first.param)
    assert till.stock(price_id) == 5
    # Kept and told once, however often it comes.
    (row,) = till.query("SELECT id FROM rejected_requests WHERE task_id = :id", id=task_id)
    assert till.events(row["id"]) == ["request.rejected"]
    # Whoever asks again, and is not just heard again, is served, under the same key, too.
    assert isinstance(by_message(till, sale, a_key()), Claimed)
    assert till.stock(price_id) == 4


def test_another_request_in_a_message_of_the_same_id_is_judged_and_kept_by_itself(
    till: Till,
) -> None:
    price_id, key, task_id = till.price(stock=3), a_key(), a_key()
    too_many, fewer, fits = (a_sale(price_id, n, idempotency_key=key) for n in (9, 8, 2))
    assert isinstance(by_message(till, too_many, task_id), InsufficientInventory)
    assert "8 were asked for" in str(by_message(till, fewer, task_id))
    kept = till.query("SELECT id FROM rejected_requests WHERE task_id = :id", id=task_id)
    assert len(kept) == 2
    assert isinstance(by_message(till, fits, task_id), Claimed)


def test_a_message_that_was_refused_for_a_reference_or_a_refund_stays_refused(till: Till) -> None:
    reference, task_id = a_key(), a_key()
    holder = till.claim(a_charge(reference=reference))
    late = a_charge(reference=reference)
    assert isinstance(by_message(till, late, task_id), ReferenceInUse)
    till.settle(holder, DECLINED)
    assert isinstance(by_message(till, late, task_id), ReferenceInUse)

    pending, refund_task = till.claim(a_charge()), a_key()
    hasty = a_refund(pending.id, if_pending="reject")
    assert isinstance(by_message(till, hasty, refund_task), ChargeNotRefundable)
    till.settle(pending, SUCCEEDED)
    assert isinstance(by_message(till, hasty, refund_task), ChargeNotRefundable)
    assert isinstance(by_message(till, hasty, a_key()), Claimed)


def test_in_a_batch_only_the_message_that_was_refused_is_refused_again(till: Till) -> None:
    price_id, task_id = till.price(stock=0), a_key()
    sale = a_sale(price_id)
    by_message(till, sale, task_id)
    till.count(price_id, a_count(5))
    items = [
        replace(till.begin_of(request), task_id=id_)
        for request, id_ in ((a_sale(price_id), a_key()), (sale, task_id), (a_charge(), a_key()))
    ]
    kinds = [type(one) for one in till.begin(*items)]
    assert kinds == [Claimed, InsufficientInventory, Claimed]
