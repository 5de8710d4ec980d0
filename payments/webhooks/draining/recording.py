"""A drainer's database calls: its batches, retried while the database is away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from payments.webhooks.draining import drains, listening
from payments.webhooks.draining.drains import Begin, DrainBatch, NextBatch, Record
from payments.webhooks.draining.posting import Answered, Poster
from payments.webhooks.draining.together import Step
from payments.webhooks.pacing import local_faults, troubles
from payments.webhooks.pacing.local_faults import Met
from payments.webhooks.pacing.local_words import INTERNAL
from payments.webhooks.pacing.troubles import Note

log = structlog.get_logger(__name__)

# Asks a step for one item, on separate connections if its endpoint is doubtful.
AskStep = Callable[[Step, Any], Awaitable[Any]]

# While the database is away: the pause between tries of a statement, and the time until giving up.
# What is not recorded by then is posted again.
DATABASE_RETRY_S = 0.5
DATABASE_PATIENCE_S = 25.0


class LeaseLost(Exception):
    """Another drainer has taken over."""


class Recorder:
    """Claims and records for one endpoint under one token. All methods run on the event loop."""

    def __init__(
        self,
        ask: AskStep,
        endpoint_id: str,
        token: UUID,
        poster: Poster,
        *,
        dice: Callable[[], float],
        traced: bool = False,
        is_listening: Callable[[], bool] = bool,
    ) -> None:
        self.token = token
        self._traced = traced
        self._is_listening = is_listening
        self._ask = ask
        self._endpoint_id = endpoint_id
        self._poster = poster
        self._dice = dice
        # Whether its endpoint fails or did lately, so that successes count, too.
        self._is_watched = False
        # Enabled, and without failures.
        self.is_well = True
        self._loop = asyncio.get_running_loop()

    async def begin(self, **given: Any) -> DrainBatch | None:
        """Like `drains.begin`."""
        item = Begin(self._endpoint_id, self.token, **self._said, **given)
        batch: DrainBatch | None = await self._patiently(drains.begin, item)
        if batch is not None:
            self._learn(batch)
        return batch

    async def pass_on(self) -> None:
        """Notify the drainer of another process that something is due."""
        with contextlib.suppress(SQLAlchemyError):  # that drainer looks on its own, a second later
            await self._ask(listening.pass_on, self._endpoint_id)

    async def is_anything_due(self) -> bool:
        return bool(await self._patiently(drains.are_due, self._endpoint_id))

    async def next_batch(
        self, answered: Sequence[Answered], **given: Any
    ) -> tuple[DrainBatch, Sequence[Record]]:
        """Like `drains.next_batches`; also returns what was recorded. Raises LeaseLost."""
        ours = [one for one in answered if one.answer.is_ours]
        answered = [one for one in answered if not one.answer.is_ours]
        records = [self._poster.record(one, now=self._loop.time()) for one in answered]
        # First, so that no batch claims what should wait.
        await self._put_off(ours)
        await self._note(answered, records)
        try:
            return await self._batch(records, **given), records
        except (SQLAlchemyError, ValueError) as error:
            if not records or _is_away(error):
                raise
            records = [
                await self._recorded_alone(one, record)
                for one, record in zip(answered, records, strict=True)
            ]
            return await self._batch((), **given), records

    async def release(self) -> None:
        """Give the lease back without recording, so that the next drainer need not wait."""
        with contextlib.suppress(SQLAlchemyError):
            await self._ask(
                drains.next_batches, NextBatch(self._endpoint_id, self.token, releasing=True)
            )

    async def _put_off(self, ours: Sequence[Answered]) -> None:
        """Delay what failed by a fault on our side; it doesn't count as an attempt."""
        for word in {one.answer.error for one in ours}:
            ids = [one.due.delivery_id for one in ours if one.answer.error == word]
            met = Met(self._endpoint_id, self.token, word or INTERNAL, ids, self._dice())
            log.warning("webhooks are put off", endpoint_id=self._endpoint_id, because=word)
            await self._patiently(local_faults.note, met)

    async def _note(self, answered: Sequence[Answered], records: Sequence[Record]) -> None:
        tally = self._poster.tally(answered, records)
        if tally.failed or (self._is_watched and tally.accepted):
            note = Note(self._endpoint_id, self.token, tally, self._dice())
            await self._patiently(troubles.note, note)

    async def _batch(self, records: Sequence[Record], **given: Any) -> DrainBatch:
        item = NextBatch(self._endpoint_id, self.token, records=records, **self._said, **given)
        batch: DrainBatch | None = await self._patiently(drains.next_batches, item)
        if batch is None:
            raise LeaseLost
        self._learn(batch)
        return batch

    def _learn(self, batch: DrainBatch) -> None:
        self._is_watched = batch.is_watched
        self.is_well = batch.is_enabled and not batch.is_watched

    @property
    def _said(self) -> dict[str, Any]:
        """What every call for a batch passes."""
        return {"traced": self._traced, "is_listening": self._is_listening()}

    async def _recorded_alone(self, answered: Answered, record: Record) -> Record:
        """Write one record of a batch that could not be written, so that a bad record costs only
        itself: for that one, only the fact of the attempt is kept."""
        for one in (record, self._poster.bare_record(answered, now=self._loop.time())):
            try:
                await self._batch([one])
            except (SQLAlchemyError, ValueError) as error:
                if _is_away(error) or one is not record:
                    raise
                log.error("an answer could not be recorded", exc_info=error, number=record.number)
                continue
            return one
        raise AssertionError("the second try returns or raises")

    async def _patiently(self, step: Step, item: Any) -> Any:
        """Ask a step; while the database is away, retry for some time."""
        gives_up_at = self._loop.time() + DATABASE_PATIENCE_S
        while True:
            try:
                return await self._ask(step, item)
            except (DBAPIError, NoConnectionFree) as error:
                # Also a connection that was dropped because it led to a standby.
                if not (_is_away(error) or getattr(error, "connection_invalidated", False)):
                    raise
                if self._loop.time() >= gives_up_at:
                    raise
                await asyncio.sleep(DATABASE_RETRY_S)


def _is_away(error: Exception) -> bool:
    """Whether the database could not be reached at all, whatever the statement."""
    return isinstance(error, (OperationalError, InterfaceError, NoConnectionFree))
