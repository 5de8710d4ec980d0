"""The broker as an async transport: the same connections, in a few threads.

The clients of Redis and RabbitMQ block for a millisecond at a time. They run in a thread, which
ends by the deadline even if no task waits for it any more, so that a canceled task leaves no
connection with half a message on it: the batch was sent, or it was not.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.billing.aio.async_transport import run
from infra.billing.broker_publisher import LINKS_MAX, Post
from infra.billing.calls.described import Asked
from infra.billing.calls.over_broker import OverBroker
from infra.billing.calls.stepwise import Publish, Step
from infra.billing.contract.ids import Kind
from infra.billing.contract.messages.message import Message
from infra.billing.errors import BillingError


class AsyncBroker:
    """An `AsyncTransport` over a broker (see infra.billing.brokers)."""

    def __init__(
        self, url: str, *, timeout_s: float, producer: str, signing_key: str | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._post = Post(url, timeout_s=timeout_s)
        self._calls = OverBroker(self._post.where(), producer=producer, signing_key=signing_key)
        self._threads: tuple[int, ThreadPoolExecutor] | None = None

    async def run(self, asked: Asked) -> dict[str, Any]:
        """Send the request; answers with the pending object. Raises InvalidRequest, Unavailable,
        and ReadingNeedsHttp for everything but requests."""
        return await run(self._calls.steps(asked), self._act)

    async def create_batch(
        self, kind: Kind, batch: Sequence[Mapping[str, Any]]
    ) -> "list[dict[str, Any] | BillingError]":
        """Send all in one round trip; returns for each the pending object, or why it was not
        sent."""
        return await run(self._calls.batch_steps(kind, batch), self._act)

    async def close(self) -> None:
        """Close all connections, once their work has ended."""
        threads, self._threads = self._threads, None
        if threads is not None and threads[0] == os.getpid():
            await asyncio.to_thread(threads[1].shutdown)
        self._post.close()

    async def _act(self, step: Step) -> list[str | None]:
        assert isinstance(step, Publish), "to a broker one only publishes"
        return await self._send(step.batch)

    async def _send(self, batch: Sequence[Message]) -> list[str | None]:
        ends_at = time.monotonic() + self._timeout_s
        sending = self._pool().submit(self._post.send, batch, ends_at=ends_at)
        answer = asyncio.wrap_future(sending)
        try:
            await asyncio.wait([answer], timeout=self._timeout_s)
            if not answer.done() and sending.cancel():  # no thread was free for it
                return [self._post.no_place()] * len(batch)
            return await answer
        except asyncio.CancelledError:
            sending.cancel()  # If it has not begun, it never will.
            raise

    def _pool(self) -> ThreadPoolExecutor:
        # After a fork the parent's threads are missing here.
        if self._threads is None or self._threads[0] != os.getpid():
            pool = ThreadPoolExecutor(LINKS_MAX, thread_name_prefix="billing")
            self._threads = (os.getpid(), pool)
        return self._threads[1]
