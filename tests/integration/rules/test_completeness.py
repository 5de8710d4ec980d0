"""Every field that can be asked for arrives wherever it is to be: none is accepted and lost.

The fields are those of the requests themselves, so that one that is new is looked for by itself.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from cli import make
from cli.payments import payment_requests as commands
from infra import billing as sdk
from infra.billing import client
from infra.billing.calls.described import Create
from infra.billing.contract.objects import BY_NAME
from infra.billing.contract.objects.object_fields import fields_of
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from infra.billing.contract.requests.rules import ANY_DAY
from infra.billing.pending import pending
from payments.kinds import KINDS
from payments.parsing import parse
from tests.support.every import every
from tests.support.factories import Till, a_key
from tests.unit.test_asked_fields import NOT_SENT, NOT_SHOWN

MODELS: Mapping[str, type[ChargeRequest] | type[RefundRequest]] = {
    "charge": ChargeRequest,
    "refund": RefundRequest,
}

# What is not a field of the body, but a part of how one asks.
NOT_AN_ARGUMENT = {"producer"}


def plain(value: Any) -> Any:
    """A moment as it is, however it is written; anything else as it is."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return datetime.fromisoformat(value)
    return value


def kept(kind: str) -> list[str]:
    """The fields of a request that its table has a column for."""
    return [name for name in MODELS[kind].model_fields if name in KINDS[kind].table.c]


EACH = [(kind, name) for kind in MODELS for name in kept(kind)]
each_field = every("kind, name", EACH)
SENT = [(kind, name) for kind, name in EACH if name not in NOT_SENT[kind]]
SHOWN = [(kind, name) for kind, name in EACH if name not in NOT_SHOWN[kind]]


def another_value(name: str, field: FieldInfo) -> Any:
    """A value of the field that is not its default."""
    if name == "reference":
        return a_key()  # one open charge has it
    for example in field.examples or ():
        if example != field.default:
            return example
    kind = field.annotation
    if get_origin(kind) is Literal:
        return next(one for one in get_args(kind) if one != field.default)
    if kind is bool:
        return not field.default
    raise AssertionError(f"give {name} an example in its Field(…), so that it can be tried")


class Asked:
    """A request that says something in the field `name`, and the row that was made of it."""

    def __init__(self, till: Till, kind: str, name: str) -> None:
        model = MODELS[kind]
        fields: dict[str, Any] = {"idempotency_key": a_key(), "producer": "tests"}
        fields |= self._companions(till, kind, name)
        if name not in fields:
            fields[name] = another_value(name, model.model_fields[name])
        self.request = parse(model, fields, day=ANY_DAY)
        (self.accepted,) = till.accept(self.request)
        assert not isinstance(self.accepted, Exception), self.accepted
        self.value = getattr(self.request, name)
        default = model.model_fields[name].get_default(call_default_factory=True)
        assert self.value != default, "it says nothing"

    @staticmethod
    def _companions(till: Till, kind: str, name: str) -> dict[str, Any]:
        """What must be there beside the field."""
        if kind == "charge":
            by_price = name in ("price_id", "quantity")
            if by_price:
                return {"price_id": till.price(stock=9), "quantity": 3}
            return {"amount": 1999, "currency": "EUR"}
        if name in ("restock", "restock_quantity"):
            sold = till.sold(till.price(stock=9), 3)
            return {"charge_id": sold, "restock": True, "restock_quantity": 2, "amount": 1}
        if name == "expected_refunded_amount":
            return {"charge_id": till.charged(), name: 0}
        return {"charge_id": till.charged()}


@each_field
def test_what_is_asked_for_is_kept(till: Till, kind: str, name: str) -> None:
    asked = Asked(till, kind, name)
    assert till.row(asked.request.id)[name] == asked.value, (
        "payments/lifecycle/accepting does not write it: see _OF_REQUEST"
    )


@each_field
def test_what_is_claimed_as_it_is_accepted_is_kept(till: Till, kind: str, name: str) -> None:
    """A message is inserted and claimed in one statement."""
    asked = Asked(till, kind, name)
    (begun,) = till.create(asked.request)
    assert getattr(begun.row, name) == asked.value  # type: ignore[union-attr]


@every("kind, name", SENT, ids=lambda it: it)
def test_what_is_kept_reaches_the_processor(till: Till, kind: str, name: str) -> None:
    asked = Asked(till, kind, name)
    order = till.claim(asked.request.id).order
    assert getattr(order, name, "absent") == asked.value, (
        f"Order and payments/lifecycle/claims.py, {kind}_order, leave it out; if the processor need"
        " not know it, say so in NOT_SENT"
    )


@every("kind, name", SHOWN, ids=lambda it: it)
def test_what_is_kept_is_shown(till: Till, kind: str, name: str) -> None:
    asked = Asked(till, kind, name)
    shown = KINDS[kind].view(asked.accepted.row)  # type: ignore[union-attr]
    assert plain(shown.get(name, "absent")) == asked.value
    assert name in fields_of(BY_NAME[kind])
    assert pending(kind, asked.request.id, {name: asked.value})[name] == asked.value  # type: ignore[arg-type]


@each_field
def test_it_can_be_asked_for_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(commands, "create", lambda _, fields, **__: asked.update(fields))
    group = typer.main.get_command(make()).commands[kind]  # type: ignore[attr-defined]
    typed = []
    for one in group.commands["create"].params:
        value = {"charge_id": "ch_" + "a" * 32, "metadata": "a=b"}.get(one.name, "7")
        if one.name not in ("wait", "as_json"):
            flag = () if getattr(one, "is_flag", False) else (value,)
            typed += [value] if one.param_type_name == "argument" else [one.opts[0], *flag]
    done = CliRunner().invoke(make(), [kind, "create", *typed], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert asked.get(name) is not None


@each_field
def test_it_can_be_asked_for_with_the_sdk(
    monkeypatch: pytest.MonkeyPatch, till: Till, kind: str, name: str
) -> None:
    if name in NOT_AN_ARGUMENT:
        return
    sent: dict[str, Any] = {}

    class Transport:
        def run(self, asked: Create) -> dict[str, Any]:
            sent.update(asked.fields)
            return pending(asked.kind, "id", asked.fields)

    monkeypatch.setattr(client, "transport", Transport)
    asked = Asked(till, kind, name).request
    given = asked.model_dump(exclude={"producer"}, exclude_none=True)
    {"charge": sdk.charge.create, "refund": sdk.refund.create}[kind](**given)
    assert plain(sent.get(name)) == getattr(asked, name)


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    for kind in MODELS:
        assert {*NOT_SENT[kind], *NOT_SHOWN[kind]} <= set(kept(kind))
