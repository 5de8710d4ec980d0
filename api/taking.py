"""Requests for charges and refunds as they came over HTTP: who asks is looked up, what they ask for
is read, and it is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.requests.by_kind import Request
from models.rows import ApiKeyRow
from payments.access import keys
from payments.access.keys import Presented
from payments.access.scopes import OPERATE, Access
from payments.acting import Acting, by_key
from payments.errors import Refused
from payments.lifecycle.accepting.asked import New
from payments.processors.registry import Processors
from payments.transaction import Transaction
from service import intake
from service.intake import Answer


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came: the key it shows, what that key must allow, the fields of its body
    or what is wrong there, its id; and why, as an operator says it, or what is wrong there."""

    shown: Presented
    permission: str
    fields: Mapping[str, Any] | Refused
    request_id: str | None = None
    traceparent: str | None = None
    why: str | Refused | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Who asked, as far as that is known, and what came of it."""

    access: Access | None
    answer: Answer


def take(
    transaction: Transaction,
    kind: KindName,
    calls: Sequence[Call],
    *,
    processors: Processors,
    learn: Callable[[Mapping[str, ApiKeyRow]], None],
) -> list[Taken]:
    """Look up who asks, read what they ask for, and write it: one trip for all of them.

    A stranger is told that first, whatever else is wrong. The rows of the keys are told to `learn`.
    """
    rows = keys.read(transaction.connection, {call.shown.id for call in calls})
    learn(rows)
    readings = [read(kind, call, rows.get(call.shown.id)) for call in calls]
    asked: list[New] = []
    explained: dict[int, Acting] = {}
    for call, (access, what) in zip(calls, readings, strict=True):
        if access is None or isinstance(what, Refused):
            continue
        # Charges are approved by nobody.
        by = _acting(call, access) if kind == "refund" or call.why is not None else None
        if by is not None and by.why is not None:
            explained[len(asked)] = by
        new = intake.new(
            what,
            processors,
            request_id=call.request_id,
            any_charge=access.sees_all,
            traceparent=call.traceparent,
            asked_by=by if kind == "refund" else None,
        )
        asked.append(new)
    found = intake.accept(transaction, asked, processors)
    if explained:  # What a service asks for says so itself; why an operator does stands nowhere.
        intake.record(transaction, kind, [(by, found[at]) for at, by in explained.items()])
    answers = iter(found)
    return [
        Taken(access, what if isinstance(what, Refused) else next(answers))
        for access, what in readings
    ]


def _acting(call: Call, access: Access) -> Acting:
    by = by_key(access, call.request_id)
    if isinstance(call.why, str) and access.allows(OPERATE):
        return replace(by, why=call.why)
    return by


def row_wanted(call: Call) -> str | None:
    """The row that many may want at once, by the name they have for it: a price, or the charge of
    a refund."""
    if isinstance(call.fields, Refused):
        return None
    name = call.fields.get("price_id") or call.fields.get("charge_id")
    return name if isinstance(name, str) else None


def read(
    kind: KindName, call: Call, row: ApiKeyRow | None
) -> tuple[Access | None, Request | Refused]:
    """Who asks, and for what."""
    access = None
    try:
        access = keys.admit(row, call.shown)
        access.require(call.permission)
        if isinstance(call.why, Refused) and access.allows(OPERATE):
            return access, call.why
        if isinstance(call.fields, Refused):
            return access, call.fields
        return access, intake.request(kind, {**call.fields, "producer": access.producer})
    except Refused as refused:
        return access, refused
