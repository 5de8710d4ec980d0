"""The HTTP door of charges and refunds."""

from collections.abc import Sequence
from functools import partial

from api.batches import Batches
from api.database import Database
from api.pollers import Pollers, at_rest
from api.taking import Taking
from infra.billing.contract.ids import Kind as KindName
from models.rows import LifecycleRow
from payments.access.scopes import Access, owner
from payments.kinds import KINDS
from payments.lifecycle import payment_queries
from payments.payment_errors import NotFound
from payments.processors.registry import Processors


class Intake:
    """Accepts and reads in batches, and waits for final states."""

    def __init__(self, database: Database, *, processors: Processors) -> None:
        async def read(kind: KindName, ids: Sequence[str]) -> list[LifecycleRow | None]:
            found = await database.read(partial(payment_queries.some, kind=KINDS[kind], ids=ids))
            return [found.get(id_) for id_ in ids]

        async def settled(kind: KindName, ids: Sequence[str]) -> set[str]:
            return await database.read(partial(at_rest, kind=kind, ids=ids))

        self.take = Taking(database, processors).take
        self._reading = {kind: Batches(partial(read, kind)) for kind in KINDS}
        self.waiters = Pollers(settled)

    async def get(
        self, kind: KindName, id_: str, *, access: Access, wait_s: float = 0
    ) -> LifecycleRow:
        """The row as it stands, or as soon as nothing more happens by itself. Raises NotFound, also
        for what `access` doesn't see."""
        row = await self._row(kind, id_, access)
        if wait_s and not payment_queries.is_at_rest(row):
            await self.waiters.until_at_rest(kind, id_, wait_s=wait_s)
            row = await self._row(kind, id_, access)
        return row

    async def _row(self, kind: KindName, id_: str, access: Access) -> LifecycleRow:
        row = await self._reading[kind].submit(id_)
        if row is None or not access.sees(owner(row)):
            raise NotFound(f"there is no {kind} with this id", param="id")
        return row
