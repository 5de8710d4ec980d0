"""What wakes a drainer: something to look at, and notifications that something became due."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Nudges:
    """For one drainer, on its event loop."""

    def __init__(self) -> None:
        self._stir = asyncio.Event()
        # Something became due since the last request for a batch: a message said so, or a
        # notification (`listening`).
        self.is_nudged = self.is_due = False

    @property
    def is_called(self) -> bool:
        return self.is_nudged or self.is_due

    def stir(self) -> None:
        """There is something to look at."""
        self._stir.set()

    def nudge(self, *, is_full: bool, heard: bool) -> None:
        """Something became due: worth a look unless it could not be begun."""
        self.is_nudged |= not heard
        self.is_due |= heard
        if not is_full:
            self._stir.set()

    def looks(self, *, claims: bool) -> None:
        """The drainer looks now; `claims`: it also asks for what is due."""
        self._stir.clear()
        if claims:
            self.is_nudged = self.is_due = False

    async def wait(self) -> None:
        """Until there is something to look at."""
        await self._stir.wait()

    async def due_within(self, left_s: Callable[[], float]) -> bool:
        """Wait until something becomes due, or no seconds are left; returns whether it did."""
        while not self.is_called and (seconds := left_s()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stir.wait()
            self._stir.clear()
        return self.is_called
