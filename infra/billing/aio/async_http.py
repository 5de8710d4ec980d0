"""HTTP as an async transport: the steps of each call, on aiohttp."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from infra.billing.aio.async_transport import run
from infra.billing.aio.async_wire import AsyncWire
from infra.billing.base_url import Root
from infra.billing.calls.described import Asked, Create
from infra.billing.calls.over_http import OverHttp
from infra.billing.calls.silences import PARALLEL_MAX, Silences
from infra.billing.calls.stepwise import Answer, Pause, Send, Step
from infra.billing.contract.ids import Kind
from infra.billing.errors import BillingError

Answers = list[dict[str, Any] | BillingError]


class AsyncExchanges(Protocol):
    """Sends one request: `AsyncWire`, or a test's."""

    async def exchange(self, send: Send) -> Answer: ...

    async def close(self) -> None: ...


class AsyncHttp:
    """An `AsyncTransport` over http:// or https://."""

    def __init__(
        self,
        root: Root,
        *,
        api_key: str,
        timeout_s: float,
        wire: AsyncExchanges | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.calls = OverHttp(root, api_key=api_key, timeout_s=timeout_s, clock=clock, dice=dice)
        self._wire = AsyncWire(root) if wire is None else wire
        self._sleep = sleep

    async def run(self, asked: Asked) -> dict[str, Any]:
        """Send the request; returns the object. Raises what the service refuses."""
        return await run(self.calls.steps(asked), self._act)

    async def create_batch(self, kind: Kind, batch: Sequence[Mapping[str, Any]]) -> Answers:
        """Send each request, several at a time; one answer for each, in their order."""
        answers: dict[int, dict[str, Any] | BillingError] = {}
        silences, waiting = Silences(), iter(enumerate(batch))

        async def send() -> None:
            for place, fields in waiting:
                answers[place] = silences.refusal(fields) or await self._answer(kind, fields)
                silences.note(answers[place])

        senders = [asyncio.ensure_future(send()) for _ in range(min(PARALLEL_MAX, len(batch)))]
        try:
            await asyncio.gather(*senders)
        finally:
            # If this is canceled, or one failed, none may continue in the background.
            for one in senders:
                one.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        return [answers[place] for place in range(len(batch))]

    async def close(self) -> None:
        await self._wire.close()

    def __repr__(self) -> str:
        return f"AsyncHttp({self.calls})"

    async def _answer(self, kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any] | BillingError:
        try:
            return await self.run(Create(kind, fields))
        except BillingError as error:
            return error

    async def _act(self, step: Step) -> Answer | None:
        match step:
            case Send():
                return await self._wire.exchange(step)
            case Pause(seconds):
                await self._sleep(seconds)
                return None
            case _:
                raise AssertionError("over HTTP nothing is published")
