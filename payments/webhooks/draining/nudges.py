"""What wakes a drainer: something to look at, and news that something became due."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Nudges:
    """For one drainer, on its event loop."""

    def __init__(self) -> None:
        self._stir = asyncio.Event()
        # Something became due that no batch has been asked for since: a message said so, or it was
        # heard (`listening`).
        self.is_nudged = self.is_told = False

    @property
    def is_called(self) -> bool:
        return self.is_nudged or self.is_told

    def stir(self) -> None:
        """There is something to look at."""
        self._stir.set()

    def nudge(self, *, is_full: bool, heard: bool) -> None:
        """Something became due: worth a look unless it could not be begun."""
        self.is_nudged |= not heard
        self.is_told |= heard
        if not is_full:
            self._stir.set()

    def looks(self, *, claims: bool) -> None:
        """The drainer looks now; whether it asks for what is due, too."""
        self._stir.clear()
        if claims:
            self.is_nudged = self.is_told = False

    async def wait(self) -> None:
        """Until there is something to look at."""
        await self._stir.wait()

    async def due_within(self, left_s: Callable[[], float]) -> bool:
        """Wait until something becomes due, as long as seconds are left; whether it did."""
        while not self.is_called and (seconds := left_s()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stir.wait()
            self._stir.clear()
        return self.is_called
