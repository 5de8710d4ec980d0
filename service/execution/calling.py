"""How the verbs of processors are called on an event loop."""

import asyncio
import inspect
from concurrent.futures import Executor as Threads
from functools import partial
from typing import cast

from payments.lifecycle.calls import Verb, within
from payments.processors.outcomes import Found
from payments.processors.port import Order


class OnLoop:
    """For an event loop: an `async` verb is awaited there, within its deadline; any other gets a
    thread of `threads`."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def __call__(self, verb: Verb, order: Order, *, deadline_s: float) -> Found:
        if inspect.iscoroutinefunction(verb):
            return await within(verb(order, deadline_s=deadline_s), deadline_s)
        call = partial(verb, order, deadline_s=deadline_s)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, call)
        # If the verb is wrapped, only its answer shows that it is `async`.
        if inspect.isawaitable(found):
            return await within(found, deadline_s)
        return cast(Found, found)
