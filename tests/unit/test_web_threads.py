"""What blocks within a transaction of the web process holds up nobody else."""

import asyncio
import threading

import pytest
from sqlalchemy.util import greenlet_spawn

from api.database import in_thread
from tests.support.waiting import patience_s


def test_the_loop_goes_on_while_a_transaction_does_what_blocks() -> None:
    freed = threading.Event()

    async def both() -> bool:
        blocked = asyncio.ensure_future(
            greenlet_spawn(lambda: in_thread(lambda: freed.wait(patience_s())))
        )
        await asyncio.sleep(0)
        freed.set()  # never reached, if the loop waited with it
        return await blocked

    assert asyncio.run(both())


def test_what_is_raised_there_is_raised_here() -> None:
    def fails() -> None:
        raise OSError("no broker")

    async def fail() -> None:
        await greenlet_spawn(lambda: in_thread(fails))

    with pytest.raises(OSError, match="no broker"):
        asyncio.run(fail())
