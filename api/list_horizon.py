"""Up to which moment a list is complete, for the event loop: see `payments.history.settled`."""

import asyncio
from datetime import datetime
from functools import partial

from api.database import Database
from payments.history import settled


async def horizon(database: Database, table: str) -> datetime:
    """Like `payments.history.settled.horizon`. Raises DatabaseUnavailable."""
    look = partial(settled.writers, table=table)
    first = now = await database.read(look)
    loop = asyncio.get_running_loop()
    gives_up_at = loop.time() + settled.PATIENCE_S
    while (whole := settled.until(first, now)) is None:
        if loop.time() >= gives_up_at:
            return settled.cut(first, now)
        await asyncio.sleep(settled.LOOK_S)
        now = await database.read(look)
    return whole
