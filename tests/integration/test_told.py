"""What is really told, by webhook and as a story, is what the documents say."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from sqlalchemy import Engine, text

from api.description.event_bodies import event
from api.description.schemas import standing_alone
from infra.billing.contract.objects import TimelineEntry
from infra.billing.contract.objects.object_fields import fields_of
from payments.history.timeline import timeline
from tests.support.counter import Counter, counter
from tests.support.factories import a_key
from tests.support.sandbox import STATEMENTS
from tests.support.webhooks import pending_is_asked_for

HAPPENINGS = [
    None,
    "pm_card_chargeDeclined",
    "pm_sandbox_timeout_after",
    "pm_sandbox_requires_action",
    "pm_sandbox_refund_fails",
]


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@cache
def _validator(model: type) -> Any:
    schema = dict(standing_alone(model))
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def test_every_event_and_every_entry_is_what_is_documented(till: Counter) -> None:
    pending_is_asked_for(till.engine)
    for method in HAPPENINGS:
        charge = till.charge(payment_method_id=method, reference=f"for {method}")
        if charge["state"] != "failed":
            till.refund(charge["id"], amount=250, reason="one too many")
            till.refund(charge["id"])
    till.refund("ch_" + "a" * 32)  # of another world
    till.refuse({"amount": 1.5, "currency": "USD", "idempotency_key": a_key()})
    with till.engine.connect() as connection:
        told = connection.execute(text("SELECT type, body, object_id FROM events")).all()
        stories = [timeline(connection, row.object_id, statements=STATEMENTS) for row in told]
    assert {row.type for row in told} >= {
        "charge.pending", "charge.succeeded", "charge.failed",
        "refund.pending", "refund.succeeded", "refund.failed", "request.rejected",
    }  # fmt: skip
    for row in told:
        body = json.loads(row.body)
        _validator(event(row.type)).validate(body)
        assert list(body) == list(event(row.type).model_fields)
    for entry in [entry for story in stories for entry in story]:
        view = json.loads(json.dumps(entry.view()))
        _validator(TimelineEntry).validate(view)
        # No fact hides what every entry has.
        assert not set(entry.facts) & set(fields_of(TimelineEntry))
