"""How the verbs of a processor are called on a loop and in a thread, whatever kind they are of."""

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from payments.lifecycle.blocking import _ask, _done
from payments.lifecycle.calls import Asking, Caller
from payments.lifecycle.claims import Claimed
from payments.processors.outcomes import Found, Succeeded, Unknown
from service.execution.calling import OnLoop

MOVED = Succeeded("psp_1")


def plain(order: object, *, deadline_s: float) -> Found:
    return MOVED


async def awaited(order: object, *, deadline_s: float) -> Found:
    await asyncio.sleep(0)
    return MOVED


def wrapped(order: object, *, deadline_s: float) -> Awaitable[Found]:
    """As a decorator leaves it: called plainly, and to be awaited all the same."""
    return awaited(order, deadline_s=deadline_s)


async def canceled(order: object, *, deadline_s: float) -> Found:
    """Waits for something of its client's, which is closed meanwhile."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return cast(Found, await future)


def _on_loop(call: Callable[[Asking], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return asyncio.run(call(OnLoop(threads)))


def _in_thread(call: Callable[[Asking], Any]) -> Any:
    return _done(call(_ask))


@pytest.fixture(params=[_on_loop, _in_thread], ids=["loop", "thread"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Asking], Any]], Any]:
    return cast(Callable[[Callable[[Asking], Any]], Any], request.param)


@pytest.mark.parametrize("verb", [plain, awaited, wrapped, functools.partial(awaited)])
def test_a_verb_may_be_plain_or_async_or_wrapped(run: Any, verb: Any) -> None:
    assert run(lambda ask: ask(verb, None, deadline_s=60)) == MOVED


A_CLAIMED = SimpleNamespace(
    in_doubt=False, verb="charge", is_to_end=False, processor="psp", id="ch_1",
    order=SimpleNamespace(kind="charge"), row=SimpleNamespace(livemode=False),
)  # fmt: skip


def a_caller(charge: Any, ask: Asking, clock: Callable[[], float] = time.monotonic) -> Caller:
    adapter = SimpleNamespace(livemode=False, charge=charge)
    return Caller(cast(Any, {"psp": adapter}), {}, ask=ask, deadline_s=60, clock=clock)


def test_a_call_that_is_broken_off_is_unknown_and_ends_nobody(run: Any) -> None:
    """Money may have moved, and the message must not get lost with the call."""

    def call(ask: Asking) -> Any:
        return a_caller(canceled, ask).call(cast(Claimed, A_CLAIMED), time.monotonic() + 60)

    assert run(call) == ("charge", Unknown("adapter_error"))


def test_who_gets_a_thread_when_the_lease_is_over_sends_nothing() -> None:
    """All threads were busy; by now somebody else may have taken over."""
    now, sent = [0.0], []

    def charge(order: object, *, deadline_s: float) -> Found:
        sent.append(order)
        return MOVED

    async def told() -> tuple[str, Found]:
        with ThreadPoolExecutor(1) as threads:
            busy = threading.Event()
            threads.submit(busy.wait)
            try:
                caller = a_caller(charge, OnLoop(threads), lambda: now[0])
                call = asyncio.create_task(caller.call(cast(Claimed, A_CLAIMED), 25.0))
                await asyncio.sleep(0)  # it was within its lease, and waits for a thread
                now[0] = 25.0
            finally:
                busy.set()
            return await call

    assert asyncio.run(told()) == ("charge", Unknown("lease_expired"))
    assert sent == []
