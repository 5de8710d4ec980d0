"""The executor for threads: every step completes while it is awaited, so no event loop is
needed."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar, cast

from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from models.rows import LifecycleRow
from payments.intake.timing import ANY_TIME, Timing
from payments.kinds import Kind
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.calls import Caller, Verb, Watch, within
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import Lease
from payments.lifecycle.database_steps import Begin, Begun, Settlement
from payments.lifecycle.executor import Executor
from payments.lifecycle.settlement import Policy
from payments.payment_errors import Refused
from payments.processors.outcomes import Found
from payments.processors.port import Order
from payments.processors.registry import Processors

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BlockingExecutor:
    """The verbs of an `Executor`, for the thread that calls them; its steps block."""

    def __init__(
        self,
        *,
        begin: Callable[[Begin], Begun],
        settle: Callable[[Settlement], LifecycleRow],
        cancel: Callable[[Cancellation], LifecycleRow | Refused],
        capture: Callable[[NewCapture], Accepted | Refused],
        processors: Processors,
        policies: Mapping[str, Policy],
        new_lease: Callable[[], Lease],
        call_deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        self._executor = Executor(
            begin=_at_once(begin),
            settle=_at_once(settle),
            cancel=_at_once(cancel),
            capture=_at_once(capture),
            caller=Caller(
                processors,
                policies,
                ask=_ask,
                deadline_s=call_deadline_s,
                clock=clock,
                watch=watch,
            ),
            processors=processors,
            new_lease=new_lease,
            clock=clock,
            watch=watch,
        )

    def create(
        self,
        request: ChargeRequest | RefundRequest,
        *,
        task_id: str | None = None,
        timing: Timing = ANY_TIME,
        traceparent: str | None = None,
    ) -> LifecycleRow:
        return _done(
            self._executor.create(request, task_id=task_id, timing=timing, traceparent=traceparent)
        )

    def submit(self, kind: Kind, id_: str) -> LifecycleRow:
        return _done(self._executor.submit(kind, id_))

    def cancel(self, one: Cancellation) -> LifecycleRow:
        return _done(self._executor.cancel(one))

    def capture(self, new: NewCapture) -> LifecycleRow:
        return _done(self._executor.capture(new))


def _at_once(step: Callable[[Item], Answer]) -> Callable[[Item], Awaitable[Answer]]:
    """A blocking step as an awaitable one."""

    async def awaited(item: Item) -> Answer:
        return step(item)

    return awaited


def _done(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """The result of a coroutine that only awaits what completes at once."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    coroutine.close()
    raise RuntimeError("a step of a thread waited for an event loop")


async def _ask(verb: Verb, order: Order, *, deadline_s: float) -> Found:
    """Call a verb of a processor. An `async` verb gets a loop for this one call."""
    found = verb(order, deadline_s=deadline_s)
    if not inspect.isawaitable(found):
        return cast(Found, found)
    return asyncio.run(within(cast(Awaitable[Found], found), deadline_s))
