"""The documented objects are the ones that are sent, and the schemas mean what the rules mean."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, get_args

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from api.description import schemas
from api.description.event_bodies import DATA, event
from api.description.models import model_of
from infra.billing.contract.card_data import holds_card_data
from infra.billing.contract.failures import DECLINES, FAILURES, Advice
from infra.billing.contract.ids import PREFIXES
from infra.billing.contract.money import AMOUNT_MAX
from infra.billing.contract.objects import OBJECTS, Charge, Endpoint, Refund, TimelineEntry
from infra.billing.contract.objects.explanations import WHAT
from infra.billing.contract.objects.object_fields import fields_of
from infra.billing.contract.requests.cancel_request import CancelRequest
from infra.billing.contract.requests.capture_request import CaptureRequest
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from models.base import table_of
from models.states import Phase, State
from payments.catalog.quotes import Line
from payments.parsing import parse
from payments.payment_errors import InvalidRequest
from payments.processors.outcomes import NextAction
from payments.timeline_entries import Entry
from payments.views import charge_view, refund_view
from payments.webhooks.outbox import Fact, body_of
from tests.support.asked_fields import (
    BY_PRICE,
    CANCEL,
    CANCELS,
    CAPTURE,
    CAPTURES,
    CHARGE,
    CHARGES,
    NEW_YEAR,
    REFUND,
    REFUNDS,
)
from tests.support.every import every


def _validator(model: type) -> Any:
    return jsonschema_rs.Draft202012Validator(
        dict(schemas.standing_alone(model)), validate_formats=True
    )


VALIDATORS = {model: _validator(model) for model in (*schemas.REQUESTS, *OBJECTS)}

# --- rows as the tables hold them (charge_tables.py, refund_tables.py, lifecycle.py of models)

texts = st.text(max_size=20)
ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=32, max_size=32)
amounts = st.integers(1, AMOUNT_MAX)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # its zone comes by `timezones`
currencies = st.sampled_from(["USD", "JPY", "KWD"])


def _perhaps(strategy: Any) -> Any:
    return st.none() | strategy


def _lifecycle(kind: str, **columns: Any) -> Any:
    return st.fixed_dictionaries(
        {
            "id": ids.map(PREFIXES[kind].__add__),
            "state": st.sampled_from(list(State)),
            "phase": _perhaps(st.sampled_from(list(Phase))),
            "metadata": st.dictionaries(texts, texts, max_size=3),
            "failure_code": _perhaps(st.sampled_from([*DECLINES, *FAILURES])),
            "failure_message": _perhaps(texts),
            "processor": texts,
            "livemode": st.booleans(),
            "producer": texts,
            "processor_reference": _perhaps(texts),
            "idempotency_key": texts,
            "created_at": moments,
            "settled_at": _perhaps(moments),
            **columns,
        }
    )


CHARGE_ROWS = _lifecycle(
    "charge",
    amount=amounts,
    currency=currencies,
    capture=st.sampled_from(["automatic", "manual"]),
    # No more than any amount is; what is captured by itself has none.
    amount_captured=st.sampled_from([None, 0, 1]),
    capture_failure_code=_perhaps(st.sampled_from([*DECLINES, *FAILURES])),
    disputed_amount=st.integers(0, AMOUNT_MAX),
    **dict.fromkeys(("fee", "net"), _perhaps(st.integers(-AMOUNT_MAX, AMOUNT_MAX))),
    settlement_currency=_perhaps(currencies),
    refunded_amount=st.integers(0, AMOUNT_MAX // 2),
    refund_reserved=st.integers(AMOUNT_MAX // 2, AMOUNT_MAX),
    quantity=_perhaps(amounts),
    return_url=_perhaps(texts),
    statement_descriptor=_perhaps(texts),
    next_action=_perhaps(
        st.builds(NextAction, texts, _perhaps(texts), _perhaps(moments)).map(NextAction.view)
    ),
    failure_advice=_perhaps(st.sampled_from(list(Advice))),
    **dict.fromkeys(
        (
            "scheduled_at",
            "expires_at",
            "cancel_requested_at",
            "authorized_at",
            "capture_before",
            "retry_at",
        ),
        _perhaps(moments),
    ),
    lines=_perhaps(
        st.lists(
            st.builds(
                Line,
                st.sampled_from(["unit", "package", "flat"]),
                st.integers(1, 10**7),
                st.integers(0, 10**7),
                texts,
            ).map(Line.view),
            max_size=3,
        )
    ),
    **dict.fromkeys(
        ("customer_id", "payment_method_id", "price_id", "reference", "description"),
        _perhaps(texts),
    ),
)
REFUND_ROWS = _lifecycle(
    "refund",
    charge_id=texts.map("ch_".__add__),
    amount=_perhaps(amounts),
    currency=_perhaps(currencies),
    reason=_perhaps(texts),
    warnings=st.lists(texts, max_size=2),
    restock=st.booleans(),
    restock_quantity=_perhaps(amounts),
)


class Row(SimpleNamespace):
    """A row as SQLAlchemy reads it, by attribute and by column."""

    @property
    def _mapping(self) -> dict[str, Any]:
        return vars(self)


def _as_sent(view: dict[str, Any]) -> Any:
    return json.loads(json.dumps(view))


@given(CHARGE_ROWS)
def test_a_charge_is_what_is_documented(row):
    view = charge_view(Row(**row))
    assert list(view) == list(fields_of(Charge))
    VALIDATORS[Charge].validate(_as_sent(view))
    model_of(Charge).model_validate_json(json.dumps(view))


@given(REFUND_ROWS)
def test_a_refund_is_what_is_documented(row):
    view = refund_view(Row(**row))
    assert list(view) == list(fields_of(Refund))
    VALIDATORS[Refund].validate(_as_sent(view))
    model_of(Refund).model_validate_json(json.dumps(view))


@given(
    moments,
    st.sampled_from(WHAT),
    texts,
    st.dictionaries(texts, texts | st.integers() | st.none()),
)
def test_an_entry_of_a_timeline_is_what_is_documented(at, what, object_id, facts):
    known = set(fields_of(TimelineEntry))
    view = Entry(
        at, what, object_id, "so it was", {n: v for n, v in facts.items() if n not in known}
    ).view()
    assert list(view)[: len(known)] == list(fields_of(TimelineEntry))
    VALIDATORS[TimelineEntry].validate(_as_sent(view))


@given(CHARGE_ROWS, st.sampled_from([name for name in DATA if name.startswith("charge.")]), moments)
def test_a_webhook_is_what_is_documented(row, type_, at):
    fact = Fact(type_, row["id"], 2, charge_view(Row(**row)), at, "tests")
    body = body_of(fact)
    assert list(json.loads(body)) == list(event(type_).model_fields)
    _validator(event(type_)).validate(json.loads(body))


def test_the_phases_are_explained():
    description = model_of(Charge).model_fields["phase"].description or ""
    assert all(f"`{phase}`" in description for phase in Phase)


def test_the_states_of_an_endpoint_are_those_of_its_table():
    states = get_args(get_args(fields_of(Endpoint)["state"])[0])
    constraints = table_of(models.WebhookEndpoint).constraints
    (check,) = (c for c in constraints if c.name == "webhook_endpoints_state_check")
    # A deleted one is shown to nobody.
    assert set(states) | {"deleted"} == set(str(check.sqltext).split("'")[1::2])


# --- the schemas


@every("name", schemas.everything())
def test_every_schema_is_json_schema_2020_12(name):
    schema = {"$schema": schemas.DIALECT, **schemas.everything()[name]}
    jsonschema_rs.meta.validate(schema)


@every("name", schemas.everything())
def test_every_field_says_what_it_means(name):
    for field, schema in schemas.everything()[name].get("properties", {}).items():
        plain = {"object", "id", "type"}  # a constant, and what needs no words
        assert field in plain or schema.get("description"), field


@every("model", VALIDATORS, ids=lambda model: model.__name__)
def test_the_examples_are_ones(model):
    schema = schemas.standing_alone(model)
    properties = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]["properties"]
    for name, one in properties.items():
        validator = jsonschema_rs.Draft202012Validator(
            {"$defs": schema["$defs"], "allOf": [one]}, validate_formats=True
        )
        for example in one.get("examples", ()):
            assert validator.is_valid(example), name


# What no schema can say: JSON Schema takes 5.0 for an integer, and knows neither the currencies nor
# card numbers' check digits; what can't go together it could, at length. The rules refuse them, by
# name.
BEYOND_SCHEMAS: list[dict[str, Any]] = [
    {"amount": 5.0},
    {"amount": 5.0, "currency": "JPY"},
    {"amount": 1999.0},
    {"amount": 1999.0, "currency": "KWD"},
    {"currency": "QQQ"},
    {"currency": "XAU"},
    {"payment_method_id": "4222222222222"},
    {"expected_refunded_amount": 1.0},
    {**BY_PRICE, "quantity": 2.0},
    {**BY_PRICE, "expected_amount": 4000.0},
    {"restock": True, "restock_quantity": 2.0},
    {"return_url": "https://shop.example.com/", "scheduled_at": NEW_YEAR},
    {"expires_in_s": 60.0},
    # Nor what day it is.
    {"scheduled_at": "2020-12-01T08:00:00+02:00"},
    {"scheduled_at": "9999-12-31T23:59:59Z"},
    # Nor does ours say what a field asks of the value of another.
    {"restock": True, "amount": 500},
    {"restock_quantity": 2},
    {"restock": False, "restock_quantity": 2},
]


def _accepts(model: type, fields: dict[str, Any]) -> bool:
    try:
        parse(model, fields)
    except InvalidRequest:
        return False
    return True


def _sent(fields: dict[str, Any]) -> Any:
    """The fields as they arrive; None for what can't be sent as JSON."""
    try:
        return json.loads(json.dumps(fields, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError):
        return None


def _texts(changes: dict[str, Any]) -> list[str]:
    inside = changes.get("metadata")
    values = [*changes.values(), *([*inside, *inside.values()] if isinstance(inside, dict) else [])]
    return [one for one in values if isinstance(one, str)]


def _beyond(changes: dict[str, Any]) -> bool:
    if "amount" not in changes and any(map(holds_card_data, _texts(changes))):
        return True
    return repr(changes) in map(repr, BEYOND_SCHEMAS)  # not by ==, for which 1.0 is True


def _cases(*, beyond: bool) -> list[Any]:
    return [
        pytest.param(model, sent, id=f"{model.__name__} {repr(changes)[:60]}")
        for model, base, changed in (
            (ChargeRequest, CHARGE, CHARGES),
            (RefundRequest, REFUND, REFUNDS),
            (CaptureRequest, CAPTURE, CAPTURES),
            (CancelRequest, CANCEL, CANCELS),
        )
        for changes in changed
        if _beyond(changes) is beyond and (sent := _sent({**base, **changes}))
    ]


@every("model, fields", _cases(beyond=False))
def test_a_schema_takes_what_the_rules_take(model, fields):
    assert VALIDATORS[model].is_valid(fields) == _accepts(model, fields)


@every("model, fields", _cases(beyond=True))
def test_the_rules_see_what_no_schema_can_say(model, fields):
    assert VALIDATORS[model].is_valid(fields)
    assert not _accepts(model, fields)
