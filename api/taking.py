"""Requests for charges and refunds as they came over HTTP: who asks is looked up, what they ask for
is read, and it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from api.database import Database
from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.requests.by_kind import Request
from infra.billing.contract.requests.charge import ChargeRequest
from models.rows import ApiKeyRow
from payments.access import keys
from payments.access.keys import Presented
from payments.access.scopes import OPERATE, Access
from payments.acting import Acting, by_key
from payments.errors import Refused
from payments.lifecycle.accepting import at_once
from payments.lifecycle.accepting.asked import Accepted, New, new_charge
from payments.processors.registry import Processors
from payments.transaction import Transaction
from service import intake
from service.intake import Answer

# Beyond as many keys, each with its row, all are forgotten and looked up anew.
KNOWN_MAX = 1_000


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


class Taking:
    """Takes calls of one kind, each for itself: in one round trip where that can be, and the others
    in a transaction."""

    def __init__(self, database: Database, processors: Processors) -> None:
        self._database = database
        self._processors = processors
        # As they were when they were read last; the statement finds out whether they still are so.
        self._keys: dict[str, ApiKeyRow] = {}
        # Those of whose charges an endpoint wants to be told that they are pending, as the last
        # charge of each has shown: there is no use in one statement for the next.
        self._told: set[str] = set()

    async def take(self, kind: KindName, calls: Sequence[Call]) -> list[Taken]:
        """What came of each, in its place. Raises DatabaseUnavailable, Held."""
        may_be_at_once = kind == "charge" and not self._database.is_pooled
        taken = await self._at_once(calls) if may_be_at_once else {}
        left = {at: call for at, call in enumerate(calls) if at not in taken}
        if left:
            write = partial(self._in_transaction, kind=kind, calls=[*left.values()])
            taken |= dict(zip(left, await self._database.transaction(write), strict=True))
        return [taken[at] for at in range(len(calls))]

    async def _at_once(self, calls: Sequence[Call]) -> dict[int, Taken]:
        """Charges of callers who were here a moment ago, by their places: what one statement can
        write. Not what is refused for whatever reason, and not what repeats another."""
        offers: dict[str, tuple[int, Access, Mapping[str, Any]]] = {}
        references = set()
        for at, call in enumerate(calls):
            access, row = self._offer(call) or (None, {})
            reference = row.get("reference") and (row["producer"], row["reference"])
            if access is None or row["id"] in offers or reference in references:
                continue
            offers[row["id"]] = at, access, row
            if reference:
                references.add(reference)
        if not offers:
            return {}
        rows = [row for _, _, row in offers.values()]
        written = await self._database.at_once(partial(at_once.insert, rows=rows)) or {}
        return {
            offers[id_][0]: Taken(offers[id_][1], Accepted(row, fresh=True))
            for id_, row in written.items()
        }

    def _offer(self, call: Call) -> tuple[Access, dict[str, Any]] | None:
        """Who asks, and the row of the charge; None when nothing can be said without a look into
        the database."""
        key = self._keys.get(call.shown.id)
        if key is None or call.why is not None:
            return None
        access, request = _read("charge", call, key)
        if access is None or not isinstance(request, ChargeRequest):
            return None
        if access.producer in self._told:
            return None
        new = new_charge(
            request, self._processors, request_id=call.request_id, traceparent=call.traceparent
        )
        try:
            row = at_once.columns(new, key, self._processors.limits)
        except Refused:
            return None
        return None if row is None else (access, row)

    def _in_transaction(
        self, transaction: Transaction, kind: KindName, calls: Sequence[Call]
    ) -> list[Taken]:
        """Look up who asks, read what they ask for, and write it.

        A stranger is told that first, whatever else is wrong.
        """
        rows = keys.read(transaction.connection, {call.shown.id for call in calls})
        self._learn(rows)
        readings = [_read(kind, call, rows.get(call.shown.id)) for call in calls]
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
        if (
            explained
        ):  # What a service asks for says so itself; why an operator does stands nowhere.
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

    def _learn(self, rows: Mapping[str, ApiKeyRow]) -> None:
        """Remember these keys, with what was just read of them."""
        if len(self._keys) + len(rows) > KNOWN_MAX:
            self._keys.clear()
        self._keys |= rows


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


def _read(
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
