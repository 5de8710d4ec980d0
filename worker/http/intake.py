"""The HTTP door of charges and refunds: both end in the function in which all doors end."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from models.ids import Kind as KindName
from payments import reading
from payments.errors import InvalidRequest, NotFound, Refused
from payments.kinds import KINDS
from payments.transaction import Row
from worker import intake
from worker.http.batches import Batches
from worker.http.database import Database
from worker.http.waiting import Waiters, finals
from worker.intake import Accepted, Answer, Request


class Intake:
    """Accepts and reads, in batches; waits for what is final."""

    def __init__(self, database: Database, *, processor: str) -> None:
        async def accept(asked: Sequence[Request]) -> Sequence[Answer]:
            write = partial(intake.accept, asked=asked, processor=processor)
            return await database.transaction(write)

        async def read(kind: KindName, ids: Sequence[str]) -> list[Row | None]:
            found = await database.read(partial(reading.some, kind=KINDS[kind], ids=ids))
            return [found.get(id_) for id_ in ids]

        async def settled(kind: KindName, ids: Sequence[str]) -> set[str]:
            return await database.read(partial(finals, kind=kind, ids=ids))

        # A batch is of one kind: they lock different tables.
        self._accepting = {kind: Batches(accept) for kind in KINDS}
        self._reading = {kind: Batches(partial(read, kind)) for kind in KINDS}
        self.waiters = Waiters(settled)

    async def accept(self, kind: KindName, fields: Mapping[str, Any], *, producer: str) -> Accepted:
        """The charge or refund, new or repeated, in the database. Raises Refused."""
        if "producer" in fields:
            raise InvalidRequest(
                "producer is not a field; over HTTP it is the name of the API key", param="producer"
            )
        given = {**fields, "producer": producer}
        if "idempotency_key" not in given:
            given["idempotency_key"] = str(uuid4())
        answer = await self._accepting[kind].submit(intake.request(kind, given))
        if isinstance(answer, Refused):
            raise answer
        return answer

    async def get(self, kind: KindName, id_: str, *, wait_s: float = 0) -> Row:
        """The row as it stands, or as soon as it is final. Raises NotFound."""
        row = await self._row(kind, id_)
        if wait_s and row["state"] == "pending":
            await self.waiters.until_final(kind, id_, wait_s=wait_s)
            row = await self._row(kind, id_)
        return row

    async def _row(self, kind: KindName, id_: str) -> Row:
        row = await self._reading[kind].submit(id_)
        if row is None:
            raise NotFound(f"there is no {kind} with this id", param="id")
        return row
