"""What a drainer does while it holds the lease of its endpoint: claim, post, record, and linger."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import structlog

from payments.webhooks.draining import posting
from payments.webhooks.draining.drains import DrainBatch, Due
from payments.webhooks.draining.leases import Alive
from payments.webhooks.draining.nudges import Nudges
from payments.webhooks.draining.pace import Pace
from payments.webhooks.draining.posting import Answered, Poster
from payments.webhooks.draining.ready import Ready
from payments.webhooks.draining.recording import LeaseLost, Recorder
from payments.webhooks.draining.together import Step
from payments.webhooks.draining.tools import Tools
from payments.webhooks.pacing.window import Window
from payments.webhooks.targets.target_port import Answer

log = structlog.get_logger(__name__)

# Results are recorded when this many wait, or the first has waited this long, or nothing else is
# under way: a kill loses at most these, and then they are posted again under the same id.
FLUSH_MAX = 64
FLUSH_S = 0.05
# Claimed ahead of the window, so that a free place is filled without asking the database: as many
# again as may be under way, up to this limit.
AHEAD_MAX = 64


class LeasedDrain:
    """The work under one lease, on the event loop. No posts are begun once no time is left
    (`left_s`); `counts` has the results of the posts, by state."""

    def __init__(
        self,
        tools: Tools,
        endpoint_id: str,
        window: Window,
        *,
        left_s: Callable[[], float],
        counts: Counter[str],
    ) -> None:
        self.endpoint_id = endpoint_id
        self._tools = tools
        self._window = window
        self._left_s = left_s
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self.nudges = Nudges()
        self._is_asking = False
        self._max_in_flight = AHEAD_MAX  # until the first batch says
        self._ready = Ready()  # claimed, not begun
        self._held: set[int] = set()  # ids that are claimed and not yet recorded
        self._answered: list[Answered] = []  # not yet recorded
        self._under_way = 0  # posts under way
        self._backlog = True  # the last claim was full: there is probably more
        self._replay_backlog = True
        self._poster = Poster(
            tools.targets, tools.vault, endpoint_id, clock=tools.clock, dice=tools.dice
        )
        self._pace = Pace()
        self.recorder = Recorder(
            self._ask,
            endpoint_id,
            uuid4(),
            self._poster,
            dice=tools.dice,
            traced=tools.traced,
            is_listening=tools.is_listening,
        )
        self._is_held_back = False  # nothing is to be posted for now
        self._is_asked_to_wait = False  # by an answer that is not recorded yet
        self._is_probing = False  # it was held back, and one post tests whether it is back
        self._window.begin(self._loop.time())

    async def _ask(self, step: Step, item: Any) -> Any:
        return await self._tools.ask(step, item, aside=self._window.is_doubtful)

    @property
    def alive(self) -> Alive:
        """Its entry for renewing its lease and for checking whether more is due."""
        is_full = self._is_full or self._window.is_troubled
        hears = self._tools.is_listening()
        return Alive(self.endpoint_id, self.recorder.token, len(self._held), is_full, hears)

    @property
    def _places(self) -> int:
        """How many posts could be begun for what becomes due. 0 if some fail: hundreds of dead
        endpoints would get too many notifications, so their drainers look on their own."""
        return 0 if self._window.is_troubled else max(0, self._free - len(self._ready))

    def nudge(self, *, heard: bool = False) -> None:
        """Something became due: look now, if it could be begun."""
        self.nudges.nudge(is_full=self._is_full, heard=heard)

    async def begin(self) -> DrainBatch | None:
        """Take the lease and the first batch; None if another drainer has it, or nothing is due."""
        return await self.recorder.begin(
            wanted=min(AHEAD_MAX, 2 * self._window.places(AHEAD_MAX)),
            wanted_replays=self._ready.replays_wanted(self._ahead),
            places=self._places,
        )

    async def run(self, first: DrainBatch) -> None:
        """Post until nothing is due and no notification comes, or the time is up, and give the
        lease back. If the lease is lost, log that."""
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._work(first)
        except ExceptionGroup as group:
            if group.subgroup(LeaseLost) is None:
                await self.recorder.release()
                raise group.exceptions[0] from None
            # The present holder of the lease posts all of it again: change nothing here.
            unrecorded = len(self._held)
            log.warning("drain lease lost", endpoint_id=self.endpoint_id, unrecorded=unrecorded)
        except asyncio.CancelledError:  # The process is ending.
            await self.recorder.release()
            raise

    async def _work(self, batch: DrainBatch) -> None:
        if batch.back_offs:
            self._window.probe()
        while True:
            self._accept(batch)
            self._open_places()
            is_over = self._is_idle and not await self._is_called()
            if not self._is_batch_worth_it:
                await self.nudges.wait()
            if self._is_ending:
                self._drop_what_is_ready()
            answered, self._answered = self._answered, []
            self._is_asked_to_wait = False
            is_to_end = self._is_ending or not (self._has_more or self._linger_s)
            releasing = is_over or (self._is_resting and is_to_end)
            wanted, wanted_replays = (0, 0) if releasing or self._is_ending else self._wanted
            self.nudges.looks(claims=wanted > 0)
            self._is_asking = True
            batch, records = await self.recorder.next_batch(
                answered,
                held=sorted(self._held) if wanted or wanted_replays else (),
                wanted=wanted,
                wanted_replays=wanted_replays,
                releasing=releasing,
                places=self._places,
                next_post_in_s=self._pace.left_s(self._loop.time()),
            )
            self._is_asking = False
            for record in records:
                self._counts[record.state] += 1
            theirs = [one for one in answered if not one.answer.is_ours]  # as `records` are
            self._tools.counted(theirs, records)
            self._held.difference_update(one.due.delivery_id for one in answered)
            if releasing:
                return

    # --- When nothing is left ---

    @property
    def _is_resting(self) -> bool:
        return not self._under_way and not self._ready

    @property
    def _linger_s(self) -> float:
        """How long to keep the lease for the next event; 0 without notifications."""
        works = self.recorder.is_well and not self._window.is_doubtful
        return self._tools.linger_s() if works else 0.0

    @property
    def _has_more(self) -> bool:
        return self._backlog or self._replay_backlog

    @property
    def _is_idle(self) -> bool:
        """Whether there is nothing to do but to linger."""
        return self._is_resting and not (self._answered or self._has_more or self._is_ending)

    async def _is_called(self) -> bool:
        """Linger; returns whether something became due."""
        ends_at = self._loop.time() + self._linger_s
        return await self.nudges.due_within(
            lambda: min(ends_at - self._loop.time(), self._left_s())
        )

    def _accept(self, batch: DrainBatch) -> None:
        """Take over the batch; changes to the endpoint apply from now on."""
        if batch.has_more is not None:
            self._backlog = batch.has_more
        if batch.has_more_replays is not None:
            self._replay_backlog = batch.has_more_replays
        self._held.update(due.delivery_id for due in batch.due)
        self._ready.extend(batch.due)
        # The batch does not reflect answers that came while it was requested.
        self._is_held_back = batch.is_held_back or self._is_asked_to_wait
        self._is_probing = batch.back_offs > 0
        if not batch.is_enabled or self._is_held_back:
            self._drop_what_is_ready()
        self._max_in_flight = max(1, batch.max_in_flight)
        self._pace.set(batch.rate_limit, batch.next_post_in_s, now=self._loop.time())
        self._poster.aim(batch)

    def _drop_what_is_ready(self) -> None:
        self._held.difference_update(due.delivery_id for due in self._ready)
        self._ready.clear()

    # --- Posting ---

    def _open_places(self) -> None:
        self._ready.places = self._window.places(self._max_in_flight)
        for _ in range(min(len(self._ready), self._free)):
            self._under_way += 1
            self._group.create_task(self._post_what_is_ready())

    async def _post_what_is_ready(self) -> None:
        """One place in the window: posts what is ready, one after the other."""
        while (due := await self._next_due()) is not None:
            started_at = self._loop.time()
            # Awaited first: the next batch may replace the list in the meantime.
            answer = await self._poster.answer_to(due)
            self._ready.is_answered(due)
            self._answered.append(Answered(due, answer, started_at))
            self._learn(answer)
            if len(self._answered) == 1:
                self._loop.call_later(FLUSH_S, self.nudges.stir)
            if self._is_batch_worth_it and not self._is_asking:
                self.nudges.stir()
        self._under_way -= 1
        if not self._under_way:
            self.nudges.stir()  # Nothing else is under way: record without waiting for a batch.

    async def _next_due(self) -> Due | None:
        """The next delivery for this place, once the rate limit allows it; None to close it."""
        if self._pace.is_limited and not await self._pace.may_post(lambda: self._may_go_on):
            return None
        return self._ready.popleft() if self._may_go_on else None

    @property
    def _may_go_on(self) -> bool:
        """Whether this place has something to post, is not surplus, and is not to close."""
        return bool(self._ready) and self._free >= 0 and not self._is_ending

    def _learn(self, answer: Answer) -> None:
        """Adapt the window to an answer, and use the places that it opens."""
        if not answer.is_ours:
            self._window.answered(
                posting.verdict_on(answer),
                took_s=answer.duration_ms / 1000,
                was_full=self._is_full,
                under_way=self._under_way - 1,
                most=self._max_in_flight,
                now=self._loop.time(),
            )
        if posting.asks_to_be_left_alone(answer) or (self._is_probing and not answer.is_ok):
            self._is_held_back = self._is_asked_to_wait = True
        if not self._is_ending:
            self._open_places()

    @property
    def _free(self) -> int:
        """How many more posts may be begun; if negative, how many places are surplus."""
        places = self._window.places(self._max_in_flight)
        if self._under_way and self._tools.targets.under_way >= self._tools.posts_max:
            places = min(places, self._under_way)
        return places - self._under_way

    @property
    def _is_full(self) -> bool:
        """Whether nothing that becomes due could be begun now."""
        return self._free <= self._ready.fresh

    # --- When to take the next batch ---

    @property
    def _is_ending(self) -> bool:
        return self._left_s() <= 0 or self._is_held_back

    @property
    def _is_batch_worth_it(self) -> bool:
        if len(self._answered) >= FLUSH_MAX or not self._under_way:
            return True
        wanted, wanted_replays = self._wanted
        is_running_low = (self._backlog and 2 * wanted >= self._ahead) or (
            self._replay_backlog and 2 * wanted_replays >= self._ahead
        )
        return is_running_low and not self._is_ending

    @property
    def _ahead(self) -> int:
        return min(AHEAD_MAX, self._window.places(self._max_in_flight))

    @property
    def _wanted(self) -> tuple[int, int]:
        """How many to claim of new deliveries, and of replays."""
        room = self._ahead + self._free - self._ready.fresh
        return max(0, room), self._ready.replays_wanted(self._ahead)
