"""A drainer: delivers what is due for one endpoint, with a window of posts under way."""

import asyncio
from collections import Counter

from payments.webhooks.draining.drains import Drained
from payments.webhooks.draining.leased_drain import LeasedDrain
from payments.webhooks.draining.leases import Alive
from payments.webhooks.draining.tools import Tools
from payments.webhooks.pacing.window import Window


class Drainer:
    """Drains one endpoint once, under one lease after the other. All methods run on the event
    loop."""

    def __init__(
        self, tools: Tools, endpoint_id: str, *, drain_s: float, window: Window | None = None
    ) -> None:
        self.endpoint_id = endpoint_id
        self._tools = tools
        self._window = window or Window()
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + drain_s
        self._counts: Counter[str] = Counter()
        self._drain = self._next_drain()

    def _next_drain(self) -> LeasedDrain:
        return LeasedDrain(
            self._tools,
            self.endpoint_id,
            self._window,
            left_s=self._left_s,
            counts=self._counts,
        )

    def _left_s(self) -> float:
        return self._ends_at - self._loop.time()

    @property
    def alive(self) -> Alive:
        """Its entry for renewing its lease, and for checking whether more is due than it knows
        of."""
        return self._drain.alive

    def nudge(self, *, heard: bool = False) -> None:
        """Something became due: look now, if it could be begun. `heard`: a notification said so, to
        the holder of the lease."""
        self._drain.nudge(heard=heard)

    def stop(self) -> None:
        """Begin no more posts; what is under way is finished and recorded."""
        self._ends_at = self._loop.time()
        self._drain.nudges.stir()

    async def run(self) -> Drained:
        """Drain until nothing is due or the time is up. If the endpoint has another drainer, notify
        that one and return at once."""
        while self._left_s() > 0:
            drain = self._drain = self._next_drain()
            batch = await drain.begin()
            if batch is None:
                if self._tools.is_listening():
                    await drain.recorder.pass_on()
                # A notification heard in the meantime was for another drainer, probably sent by
                # ourselves.
                if not drain.nudges.is_nudged:
                    return self._drained(more=False)
                continue
            await drain.run(batch)
            # After the release, look again: what was committed in the meantime had no listener.
            if not (await drain.recorder.is_anything_due() or drain.nudges.is_called):
                return self._drained(more=False)
        nudges = self._drain.nudges
        nudges.looks(claims=True)
        is_due = await self._drain.recorder.is_anything_due()
        return self._drained(more=is_due or nudges.is_nudged)

    def _drained(self, *, more: bool) -> Drained:
        return Drained(
            delivered=self._counts["delivered"],
            retried=self._counts["pending"],
            exhausted=self._counts["exhausted"],
            more=more,
        )
