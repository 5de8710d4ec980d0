"""The tables refuse what must not be, whoever writes it: each rule is broken once."""

from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from models import Charge, Delivery, DeliveryAttempt, Event, Refund, WebhookEndpoint
from models.base import table_of
from tests.support.every import every
from tests.support.factories import Till, a_key

LEASE = {"lease_token": "7e1b0a3e-0000-4000-8000-000000000000", "lease_expires_at": "now"}
PENDING = {"state": "pending", "phase": "queued"}
SUCCEEDED = {"state": "succeeded", "phase": None, "settled_at": "now"}
FAILED = {"state": "failed", "phase": None, "settled_at": "now", "failure_code": "card_declined"}


def a_row(**changes: Any) -> dict[str, Any]:
    key = a_key()
    return {
        "id": f"ch_{key}", "producer": "tests", "idempotency_key": key, "fingerprint": "f",
        "processor": "sandbox", "currency": "USD", "amount": 1000, **PENDING, **changes,
    }  # fmt: skip


def write(till: Till, model: type[SQLModel], *rows: dict[str, Any]) -> None:
    with till.engine.begin() as connection:
        for row in rows:
            connection.execute(insert(table_of(model)).values(row))


def refused_by(till: Till, model: type[SQLModel], *rows: dict[str, Any]) -> str:
    """The name of the constraint that refuses the rows."""
    with pytest.raises(IntegrityError) as refused:
        write(till, model, *rows)
    name: str = refused.value.orig.diag.constraint_name  # type: ignore[union-attr]
    return name


BOTH: list[tuple[str, dict[str, Any]]] = [
    ("state", {**SUCCEEDED, "state": "done"}),
    ("phase", {"phase": "lost"}),
    ("pending_has_phase", {"phase": None}),
    ("pending_has_phase", {**SUCCEEDED, "phase": "queued"}),
    ("final_is_settled", {**SUCCEEDED, "settled_at": None}),
    ("final_is_settled", {"settled_at": "now"}),
    ("failed_says_why", {**FAILED, "failure_code": None}),
    ("failed_says_why", {"failure_code": "card_declined"}),
    ("flight_is_leased", {"phase": "in_flight"}),
    ("lease_has_an_end", {"lease_token": LEASE["lease_token"]}),
    ("lease_has_an_end", {"lease_expires_at": "now"}),
    ("final_is_not_leased", {**SUCCEEDED, **LEASE}),
    ("amount_positive", {"amount": 0}),
    ("amount_positive", {"amount": -1}),
]
CHARGES: list[tuple[str, dict[str, Any]]] = [
    ("currency_code", {"currency": "usd"}),
    ("currency_code", {"currency": "USDT"}),
    ("refunds_within_charge", {**SUCCEEDED, "refund_reserved": 1001}),
    ("refunds_within_charge", {**SUCCEEDED, "refund_reserved": 5, "refunded_amount": 6}),
    ("refunds_within_charge", {**SUCCEEDED, "refunded_amount": -1}),
    ("refunds_need_success", {"refund_reserved": 5, "refunded_amount": 5}),
]
REFUNDS: list[tuple[str, dict[str, Any]]] = [
    ("reserved_has_amount", {"reserved": True, "amount": None}),
    ("success_was_reserved", {**SUCCEEDED, "reserved": False}),
]


@every("rule, changes", BOTH + CHARGES)
def test_a_charge_that_must_not_be_is_refused(
    till: Till, rule: str, changes: dict[str, Any]
) -> None:
    assert refused_by(till, Charge, a_row(**changes)) == f"charges_{rule}_check"


@every("rule, changes", BOTH + REFUNDS)
def test_a_refund_that_must_not_be_is_refused(
    till: Till, rule: str, changes: dict[str, Any]
) -> None:
    row = a_row(charge_id="ch_1", reserved=True) | changes
    assert refused_by(till, Refund, row) == f"refunds_{rule}_check"


@every("stand", [PENDING, SUCCEEDED, FAILED, {"phase": "in_flight", **LEASE}, {"phase": "unknown"}])
def test_what_may_be_is_taken(till: Till, stand: dict[str, Any]) -> None:
    write(till, Charge, a_row(**stand))
    write(till, Refund, a_row(**stand) | {"charge_id": "ch_1", "reserved": True})


def test_a_key_is_a_primary_key(till: Till) -> None:
    row = a_row()
    assert refused_by(till, Charge, row, row) == "charges_pkey"
    refund = a_row(charge_id="ch_1")
    assert refused_by(till, Refund, refund, refund) == "refunds_pkey"


@pytest.mark.parametrize("first", [PENDING, SUCCEEDED])
def test_an_open_reference_is_taken(till: Till, first: dict[str, Any]) -> None:
    reference = a_key()
    rows = a_row(reference=reference, **first), a_row(reference=reference)
    assert refused_by(till, Charge, *rows) == "charges_open_reference_key"


def test_a_failed_charge_holds_no_reference(till: Till) -> None:
    reference = a_key()
    write(till, Charge, a_row(reference=reference, **FAILED), a_row(reference=reference))
    write(till, Charge, a_row(reference=None), a_row(reference=None))


def an_event(**changes: Any) -> dict[str, Any]:
    key = a_key()
    row = {"id": f"evt_{key}", "type": "ping", "object_id": key, "sequence": 1, "body": "{}"}
    return row | changes


def test_an_event_is_told_once(till: Till) -> None:
    event = an_event()
    other = event | {"id": f"evt_{a_key()}"}
    assert refused_by(till, Event, event, event) == "events_pkey"
    assert refused_by(till, Event, event, other) == "events_object_id_sequence_key"


def an_endpoint(**changes: Any) -> dict[str, Any]:
    return {"id": f"we_{a_key()}", "url": "http://x", "secrets": ["whsec_x"]} | changes


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("state", {"state": "asleep"}),
        ("has_a_secret", {"secrets": []}),
        ("headers_are_whole", {"header_names": ["x-key"]}),
        ("rate_limit_positive", {"rate_limit": 0}),
        ("retry_schedule", {"retry_schedule": []}),
        ("retry_schedule", {"retry_schedule": [5, 0]}),
        ("ordered", {"ordered": "mostly"}),
    ],
)
def test_an_endpoint_that_must_not_be_is_refused(
    till: Till, rule: str, changes: dict[str, Any]
) -> None:
    name = refused_by(till, WebhookEndpoint, an_endpoint(**changes))
    assert name == f"webhook_endpoints_{rule}_check"


def test_an_event_is_delivered_once_to_each_endpoint_that_there_is(till: Till) -> None:
    event, endpoint = an_event(), an_endpoint()
    write(till, Event, event)
    write(till, WebhookEndpoint, endpoint)
    delivery = {"event_id": event["id"], "endpoint_id": endpoint["id"]}
    twice = refused_by(till, Delivery, delivery, delivery)
    assert twice == "deliveries_event_id_endpoint_id_key"
    lost = delivery | {"state": "lost"}
    assert refused_by(till, Delivery, lost) == "deliveries_state_check"
    for name in ("event_id", "endpoint_id"):
        nobody = delivery | {name: "nobody"}
        assert refused_by(till, Delivery, nobody) == f"deliveries_{name}_fkey"


def test_an_attempt_belongs_to_a_delivery(till: Till) -> None:
    attempt = {"delivery_id": -1, "number": 1, "started_at": "now", "duration_ms": 1}
    assert refused_by(till, DeliveryAttempt, attempt) == "delivery_attempts_delivery_id_fkey"


def test_every_rule_of_the_models_is_in_the_database(till: Till) -> None:
    """Migrations are written by hand: what the models say must have arrived."""
    constraints = {
        row["name"] for row in till.query("SELECT conname AS name FROM pg_constraint")
    }  # fmt: skip
    indexes = {row["name"] for row in till.query("SELECT indexname AS name FROM pg_indexes")}
    for table in SQLModel.metadata.tables.values():
        for rule in table.constraints:
            if isinstance(rule, (CheckConstraint, UniqueConstraint)):
                assert str(rule.name) in constraints, (table.name, rule.name)
        for index in table.indexes:
            assert isinstance(index, Index)
            assert str(index.name) in indexes, (table.name, index.name)
