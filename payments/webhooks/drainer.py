"""A drainer: empties what is due for one endpoint, with a window of posts under way."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from payments.webhooks import drains
from payments.webhooks.drains import DrainBatch, Drained, Due, Record
from payments.webhooks.post import Client
from payments.webhooks.posting import Answered, Poster

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Results are recorded when so many wait, or the first has waited so long, or nothing else is
# under way: a kill loses at most these, and then they are posted again under the same id.
FLUSH_MAX = 64
FLUSH_S = 0.05
# Claimed ahead of the window, so that a free place is filled without asking the database.
AHEAD = 64
# While posts are slow: how often to look for what became due, and to renew the lease.
POLL_S = 1.0
# While the database is away: between tries of a statement, and until it is given up. What waits
# to be recorded is then posted again.
DATABASE_RETRY_S = 0.5
DATABASE_PATIENCE_S = 25.0


class Tools(NamedTuple):
    """What a drainer works with. `in_database(function, *args, **kwargs)` runs a function of
    `drains` on a connection of its own, off the event loop."""

    client: Client
    in_database: Callable[..., Awaitable[Any]]
    clock: Callable[[], float]  # seconds since the epoch
    dice: Callable[[], float]  # [0, 1)


class LeaseLost(Exception):
    """Another drainer has taken over."""


class Drainer:
    """Drains one endpoint once. All methods run on the event loop."""

    def __init__(self, tools: Tools, endpoint_id: str, *, drain_s: float) -> None:
        self.endpoint_id = endpoint_id
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + drain_s
        self._counts = {"delivered": 0, "pending": 0, "exhausted": 0}
        self._stir = asyncio.Event()
        self._nudged = False
        self._is_asking = False
        self._begin()

    def _begin(self) -> None:
        self._token: UUID = uuid4()
        self._ready: deque[Due] = deque()  # claimed, not begun
        self._held: set[int] = set()  # ids that are claimed and not yet recorded
        self._answered: list[Answered] = []  # not yet recorded
        self._lanes = 0  # posts under way
        self._backlog = True  # the last claim got all it wanted: there is probably more
        self._poster = Poster(self._tools.client, clock=self._tools.clock, dice=self._tools.dice)
        self._max_in_flight = 0

    def nudge(self) -> None:
        """Something became due: look now."""
        self._nudged = True
        self._stir.set()

    def stop(self) -> None:
        """Begin no more posts; what is under way is finished and recorded."""
        self._ends_at = self._loop.time()
        self._stir.set()

    async def run(self) -> Drained:
        """Drain until nothing is due or the time is up. Returns at once, with nothing done, when
        the endpoint has another drainer."""
        while not self._is_late:
            self._begin()
            self._nudged = False
            # After a release this is the second look: what was committed before the release,
            # while its wake-up call met a taken lease, is seen here.
            batch = await self._database(drains.begin, self._token, wanted=AHEAD)
            if batch is not None:
                await self._drain_and_release(batch)
            elif not self._nudged:
                return self._drained(more=False)
        self._nudged = False
        is_due: bool = await self._database(drains.is_anything_due)
        return self._drained(more=is_due or self._nudged)

    async def _drain_and_release(self, first: DrainBatch) -> None:
        try:
            async with asyncio.TaskGroup() as lanes:
                await self._work(lanes, first)
        except ExceptionGroup as group:
            if group.subgroup(LeaseLost) is None:
                await self._release()
                raise group.exceptions[0] from None
            # Whoever has the lease now posts it all again. We may log, and change nothing.
            log.warning(
                "drain lease lost", endpoint_id=self.endpoint_id, unrecorded=len(self._held)
            )
        except asyncio.CancelledError:  # The process is ending.
            await self._release()
            raise

    async def _release(self) -> None:
        """Give the lease back with nothing recorded, so that the next drainer need not wait."""
        with contextlib.suppress(SQLAlchemyError):
            await self._tools.in_database(
                drains.next_batch, self.endpoint_id, self._token, releasing=True
            )

    async def _work(self, lanes: asyncio.TaskGroup, batch: DrainBatch) -> None:
        wanted = AHEAD
        while True:
            self._accept(batch, wanted)
            self._open_lanes(lanes)
            if not self._is_batch_worth_it:
                await self._something_to_do()
            if self._is_late:
                self._drop_what_is_ready()
            answered, self._answered = self._answered, []
            is_resting = not self._lanes and not self._ready
            releasing = is_resting and (self._is_late or not self._backlog)
            wanted = 0 if releasing or self._is_late else max(0, self._room)
            batch = await self._next_batch(answered, wanted=wanted, releasing=releasing)
            self._held.difference_update(one.due.delivery_id for one in answered)
            if releasing:
                return

    async def _next_batch(
        self, answered: Sequence[Answered], *, wanted: int, releasing: bool
    ) -> DrainBatch:
        records = [self._poster.record(one, now=self._loop.time()) for one in answered]
        self._stir.clear()
        self._is_asking = True
        given = {
            "held": sorted(self._held) if wanted else (),
            "wanted": wanted,
            "releasing": releasing,
        }
        batch: DrainBatch | None
        try:
            batch = await self._database(drains.next_batch, self._token, records=records, **given)
        except (SQLAlchemyError, ValueError) as error:
            if not records or _is_away(error):
                raise
            records = [
                await self._recorded_alone(one, record)
                for one, record in zip(answered, records, strict=True)
            ]
            batch = await self._database(drains.next_batch, self._token, **given)
        self._is_asking = False
        if batch is None:
            raise LeaseLost
        for record in records:
            self._counts[record.state] += 1
        return batch

    async def _recorded_alone(self, answered: Answered, record: Record) -> Record:
        """Write one record of a batch that could not be written, so that what is wrong with another
        costs that one alone: of it, only that there was an attempt is kept."""
        for one in (record, self._poster.bare_record(answered, now=self._loop.time())):
            try:
                batch: DrainBatch | None = await self._database(
                    drains.next_batch, self._token, records=[one]
                )
            except (SQLAlchemyError, ValueError) as error:
                if _is_away(error) or one is not record:
                    raise
                log.error("an answer could not be recorded", exc_info=error, number=record.number)
                continue
            if batch is None:
                raise LeaseLost
            return one
        raise AssertionError("the second try returns or raises")

    async def _database(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a statement, and while the database is away try again for some time."""
        gives_up_at = self._loop.time() + DATABASE_PATIENCE_S
        while True:
            try:
                result: T = await self._tools.in_database(
                    function, self.endpoint_id, *args, **kwargs
                )
                return result
            except DBAPIError as error:
                # Also a connection that was dropped for leading to a standby.
                is_away = isinstance(error, (OperationalError, InterfaceError))
                if not (is_away or error.connection_invalidated):
                    raise
                if self._loop.time() >= gives_up_at:
                    raise
                await asyncio.sleep(DATABASE_RETRY_S)

    def _accept(self, batch: DrainBatch, wanted: int) -> None:
        """Take over what is due; what was changed about the endpoint counts from now on."""
        if wanted:
            self._backlog = len(batch.due) == wanted
        self._held.update(due.delivery_id for due in batch.due)
        self._ready.extend(batch.due)
        if not batch.is_enabled:
            self._drop_what_is_ready()
        self._max_in_flight = max(1, batch.max_in_flight)
        self._poster.aim(batch)

    def _drop_what_is_ready(self) -> None:
        self._held.difference_update(due.delivery_id for due in self._ready)
        self._ready.clear()

    # --- Posting ---

    def _open_lanes(self, lanes: asyncio.TaskGroup) -> None:
        for _ in range(min(len(self._ready), self._max_in_flight - self._lanes)):
            self._lanes += 1
            lanes.create_task(self._lane())

    async def _lane(self) -> None:
        """One place in the window: posts what is ready, one after the other."""
        while self._ready and self._lanes <= self._max_in_flight and not self._is_late:
            due = self._ready.popleft()
            started_at = self._loop.time()
            # Awaited first: the next batch may swap the list meanwhile.
            answer = await self._poster.answer_to(due)
            self._answered.append(Answered(due, answer, started_at))
            if len(self._answered) == 1:
                self._loop.call_later(FLUSH_S, self._stir.set)
            if self._is_batch_worth_it and not self._is_asking:
                self._stir.set()
        self._lanes -= 1
        if not self._lanes:
            self._stir.set()  # Nothing else is under way: nobody waits for a batch.

    # --- When to take the next batch ---

    @property
    def _is_late(self) -> bool:
        return self._loop.time() >= self._ends_at

    @property
    def _is_batch_worth_it(self) -> bool:
        is_running_low = self._backlog and self._room >= AHEAD // 2 and not self._is_late
        return is_running_low or len(self._answered) >= FLUSH_MAX or not self._lanes

    @property
    def _room(self) -> int:
        return AHEAD + self._max_in_flight - self._lanes - len(self._ready)

    async def _something_to_do(self) -> None:
        """Wait until results are to be recorded, room is to be filled, or it is time to look."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._stir.wait()
        except TimeoutError:
            pass

    def _drained(self, *, more: bool) -> Drained:
        return Drained(
            delivered=self._counts["delivered"],
            retried=self._counts["pending"],
            exhausted=self._counts["exhausted"],
            more=more,
        )


def _is_away(error: Exception) -> bool:
    """Whether the database could not be asked at all, whatever it was asked."""
    return isinstance(error, (OperationalError, InterfaceError))
