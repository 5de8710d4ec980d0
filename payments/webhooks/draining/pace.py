"""How fast webhooks follow each other at an endpoint with a rate limit: evenly spaced, and waiting
uses up no attempt."""

import asyncio
from collections.abc import Callable

# How much lateness may be made up for: timers round up to milliseconds, which would halve a rate of
# a thousand a second.
LATE_S = 0.05
# How often a waiting place checks whether it is to close.
LOOK_EVERY_S = 1.0


class Pace(asyncio.Lock):
    """When the next webhook may be sent, on the loop's clock. It is also the lock behind which
    places in the window wait, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._pause_s = 0.0  # between webhooks; 0 = no limit
        self._next_at: float | None = None

    def set(self, rate_limit: int | None, next_post_in_s: float, *, now: float) -> None:
        """Apply a change of the rate; the wait left over from the previous drainer applies once, at
        the beginning."""
        self._pause_s = 0.0 if rate_limit is None else 1.0 / rate_limit
        if self._next_at is None:
            self._next_at = now + next_post_in_s

    @property
    def is_limited(self) -> bool:
        return self._pause_s > 0.0

    async def may_post(self, may_go_on: Callable[[], bool]) -> bool:
        """Wait until the next may be sent, and count it; False as soon as none is to be."""
        loop = asyncio.get_running_loop()
        async with self:
            while may_go_on():
                now = loop.time()
                if wait_s := self.wait_s(now):
                    await asyncio.sleep(min(wait_s, LOOK_EVERY_S))
                    continue
                self.count(now)
                return True
        return False

    def wait_s(self, now: float) -> float:
        """How long to wait for the next."""
        if not self._pause_s or self._next_at is None:
            return 0.0
        return max(0.0, self._next_at - now)

    def count(self, now: float) -> None:
        """One is sent now."""
        self._next_at = max(self._next_at or now, now - LATE_S) + self._pause_s

    def left_s(self, now: float) -> float | None:
        """How long the next drainer has to wait; None without a limit."""
        return self.wait_s(now) if self._pause_s else None
