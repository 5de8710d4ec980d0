"""Requests for charges and refunds over HTTP: look up the caller, read the request, write it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from api.batches import Batches
from api.database import DEADLINE_S, Database
from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.requests.by_kind import Request
from infra.billing.contract.requests.charge_request import ChargeRequest
from models.rows import ApiKeyRow, ChargeRow
from payments.access import keys
from payments.access.keys import Presented
from payments.access.scopes import OPERATE, Access
from payments.acting import Acting, by_key
from payments.kinds import KINDS
from payments.lifecycle.accepting import at_once
from payments.lifecycle.accepting.asked import Accepted, New, new_charge
from payments.payment_errors import Refused
from payments.processors.registry import Processors
from payments.transaction import Transaction
from service import intake
from service.intake import Answer

# Beyond this many keys, with their rows, all are dropped and looked up again. Until then, a key
# that was deleted costs each request of its holder a statement that writes nothing.
KNOWN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A request as received: the presented key, the permission that it needs, the fields of its
    body or what is wrong there, its id; and an operator's reason, or what is wrong there."""

    shown: Presented
    permission: str
    fields: Mapping[str, Any] | Refused
    request_id: str | None = None
    traceparent: str | None = None
    why: str | Refused | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The caller, as far as known, and the answer."""

    access: Access | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Offer:
    """A charge that one statement can write, and its caller."""

    access: Access
    row: Mapping[str, Any]


class Taking:
    """Handles calls, each by itself: in one round trip if possible, and the others in a
    transaction. What one statement has committed is answered, whatever happens to the others."""

    def __init__(self, database: Database, processors: Processors) -> None:
        self._database = database
        self._processors = processors
        # As they were last read; the statement checks whether they still are so.
        self._keys: dict[str, ApiKeyRow] = {}
        # Callers whose pending events an endpoint wants, as the last charge of each has shown: one
        # statement is of no use for them.
        self._told: set[str] = set()
        self._at_once = Batches(self._write_at_once)
        # A batch is of one kind: they lock different tables.
        self._taking = {
            kind: Batches(partial(self._take_all, kind), shared=_row_wanted) for kind in KINDS
        }

    async def take(self, kind: KindName, call: Call) -> Taken:
        """The charge or refund, new or repeated, in the database; or the refusal.

        Raises DatabaseUnavailable, Held, TooManyRequests.
        """
        ends_at = asyncio.get_running_loop().time() + DEADLINE_S
        if kind == "charge" and (offer := self._offer(call)) is not None:
            row = await self._at_once.submit(offer, ends_at)
            if row is not None:
                return Taken(offer.access, Accepted(row, fresh=True))
        return await self._taking[kind].submit(call, ends_at)

    def _offer(self, call: Call) -> _Offer | None:
        """None for every refusal, for a charge by price, and for a caller that was not here a
        moment ago: these need to be looked up in the database."""
        key = self._keys.get(call.shown.id)
        if key is None or call.why is not None or self._database.is_pooled:
            return None
        if isinstance(call.fields, Refused) or key.producer in self._told:
            return None
        access, request = _read("charge", call, key)
        if access is None or not isinstance(request, ChargeRequest):
            return None
        new = new_charge(
            request, self._processors, request_id=call.request_id, traceparent=call.traceparent
        )
        try:
            row = at_once.columns(new, key, self._processors.limits)
        except Refused:
            return None
        return None if row is None else _Offer(access, row)

    async def _write_at_once(self, offers: Sequence[_Offer]) -> list[ChargeRow | None]:
        """The charges as written, each in its place; None for one that was not."""
        first: dict[str, int] = {}
        references: set[tuple[str, str]] = set()
        for at, (row, reference) in enumerate((one.row, _reference(one.row)) for one in offers):
            if row["id"] not in first and reference not in references:
                first[row["id"]] = at
                references |= {reference} if reference else set()
        rows = [offers[at].row for at in first.values()]
        written = await self._database.at_once(partial(at_once.insert, rows=rows)) or {}
        found: list[ChargeRow | None] = [None] * len(offers)
        for id_, charge in written.items():
            found[first[id_]] = charge
        return found

    async def _take_all(self, kind: KindName, calls: Sequence[Call]) -> list[Taken]:
        write = partial(self._in_transaction, kind=kind, calls=calls)
        return await self._database.transaction(write)

    def _in_transaction(
        self, transaction: Transaction, kind: KindName, calls: Sequence[Call]
    ) -> list[Taken]:
        """Look up the callers, read their requests, and write them.

        A missing or wrong key is refused first, whatever else is wrong.
        """
        rows = keys.read(transaction.connection, {call.shown.id for call in calls})
        readings = [_read(kind, call, rows.get(call.shown.id)) for call in calls]
        self._learn(rows, {c.shown.id for c, (who, _) in zip(calls, readings, strict=True) if who})
        asked: list[New] = []
        explained: dict[int, Acting] = {}
        for call, (access, what) in zip(calls, readings, strict=True):
            if access is None or isinstance(what, Refused):
                continue
            # Charges need no approval.
            by = _acting(call, access) if kind == "refund" or call.why is not None else None
            if by is not None and by.why is not None:
                explained[len(asked)] = by
            new = intake.new(
                what,
                self._processors,
                request_id=call.request_id,
                any_charge=access.sees_all,
                traceparent=call.traceparent,
                asked_by=by if kind == "refund" else None,
            )
            asked.append(new)
        found = intake.accept(transaction, asked, self._processors)
        if kind == "charge":
            self._learn_who_is_told(found)
        if explained:  # The row names a service itself, but not an operator's reason.
            intake.record(transaction, kind, [(by, found[at]) for at, by in explained.items()])
        answers = iter(found)
        return [
            Taken(access, what if isinstance(what, Refused) else next(answers))
            for access, what in readings
        ]

    def _learn_who_is_told(self, found: Sequence[Answer]) -> None:
        for one in found:
            if isinstance(one, Accepted) and one.fresh:
                (self._told.add if one.row.sequence else self._told.discard)(one.row.producer)

    def _learn(self, rows: Mapping[str, ApiKeyRow], admitted: Collection[str]) -> None:
        """Remember the admitted keys, as they were just read."""
        if len(self._keys.keys() | admitted) > KNOWN_MAX:
            self._keys.clear()
        self._keys |= {id_: rows[id_] for id_ in admitted}


def _reference(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The reference that only one open charge may have."""
    return (row["producer"], row["reference"]) if row["reference"] else None


def _acting(call: Call, access: Access) -> Acting:
    by = by_key(access, call.request_id)
    if isinstance(call.why, str) and access.allows(OPERATE):
        return replace(by, why=call.why)
    return by


def _row_wanted(call: Call) -> str | None:
    """A row that many calls may need at once, by the name that they use: a price, or the charge of
    a refund."""
    if isinstance(call.fields, Refused):
        return None
    name = call.fields.get("price_id") or call.fields.get("charge_id")
    return name if isinstance(name, str) else None


def _read(
    kind: KindName, call: Call, row: ApiKeyRow | None
) -> tuple[Access | None, Request | Refused]:
    """The caller's access, and the request."""
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
