"""The HTTP door of charges and refunds: both end in the function in which all doors end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from api.batches import Batches
from api.database import Database
from api.pollers import Pollers, at_rest
from infra.billing.contract.ids import Kind as KindName
from infra.billing.contract.requests.by_kind import Request
from models.rows import ApiKeyRow, LifecycleRow
from payments.access import keys
from payments.access.keys import Presented
from payments.access.scopes import OPERATE, Access, owner
from payments.acting import Acting, by_key
from payments.errors import NotFound, Refused
from payments.kinds import KINDS
from payments.lifecycle import reading
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


class Intake:
    """Accepts and reads, in batches; waits for what is final."""

    def __init__(self, database: Database, *, processors: Processors) -> None:
        async def take_all(kind: KindName, calls: Sequence[Call]) -> Sequence[Taken]:
            write = partial(take, kind=kind, calls=calls, processors=processors)
            return await database.transaction(write)

        async def read(kind: KindName, ids: Sequence[str]) -> list[LifecycleRow | None]:
            found = await database.read(partial(reading.some, kind=KINDS[kind], ids=ids))
            return [found.get(id_) for id_ in ids]

        async def settled(kind: KindName, ids: Sequence[str]) -> set[str]:
            return await database.read(partial(at_rest, kind=kind, ids=ids))

        # A batch is of one kind: they lock different tables.
        self._taking = {
            kind: Batches(partial(take_all, kind), shared=_row_wanted) for kind in KINDS
        }
        self._reading = {kind: Batches(partial(read, kind)) for kind in KINDS}
        self.waiters = Pollers(settled)

    async def take(self, kind: KindName, call: Call) -> Taken:
        """The charge or refund, new or repeated, in the database; or why not.

        Raises DatabaseUnavailable, TooManyRequests.
        """
        return await self._taking[kind].submit(call)

    async def get(
        self, kind: KindName, id_: str, *, access: Access, wait_s: float = 0
    ) -> LifecycleRow:
        """The row as it stands, or as soon as nothing more comes of it by itself. Raises NotFound,
        also for what `access` doesn't see."""
        row = await self._row(kind, id_, access)
        if wait_s and not reading.is_at_rest(row):
            await self.waiters.until_at_rest(kind, id_, wait_s=wait_s)
            row = await self._row(kind, id_, access)
        return row

    async def _row(self, kind: KindName, id_: str, access: Access) -> LifecycleRow:
        row = await self._reading[kind].submit(id_)
        if row is None or not access.sees(owner(row)):
            raise NotFound(f"there is no {kind} with this id", param="id")
        return row


def take(
    transaction: Transaction,
    kind: KindName,
    calls: Sequence[Call],
    *,
    processors: Processors,
) -> list[Taken]:
    """Look up who asks, read what they ask for, and write it: one trip for all of them.

    A stranger is told that first, whatever else is wrong.
    """
    rows = keys.read(transaction.connection, {call.shown.id for call in calls})
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


def _row_wanted(call: Call) -> str | None:
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
