"""How a process carries charges and refunds: its executors, for threads and for an event loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from infra.billing.contract.requests.charge_request import ChargeRequest
from models.rows import ChargeRow, LifecycleRow, as_charge
from payments.lifecycle import database_steps
from payments.lifecycle.accepting.asked import Accepted
from payments.lifecycle.blocking import BlockingExecutor
from payments.lifecycle.calls import Caller
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import Lease, lease
from payments.lifecycle.database_steps import Begin, Begun, Settlement
from payments.lifecycle.executor import Executor
from payments.payment_errors import Refused
from service.database.group_commit import GroupCommitter
from service.database.loop_commit import LoopCommitter
from service.database.retrying import Retrying
from service.execution.calling import OnLoop
from service.metrics import counting
from service.tracing.spans import watch_of
from service.wiring import REAL, Parts, Services, since_boot_s, worker_name

# Batches that a worker's loop writes at once: one of each step, and those in parallel with a stuck
# one.
WRITERS = 8


class Steps:
    """The database steps of an executor: lists of items, one transaction per list. They wait while
    the database is away."""

    def __init__(self, services: Services, parts: Parts) -> None:
        self._services, self._parts = services, parts
        self._names = frozenset(services.processors)
        self._limits = services.processors.limits
        self._approvals = services.processors.approvals
        retrying = Retrying(services.stopping)
        self.begin = retrying(self._begin)
        self.settle = retrying(self._settle)
        self.cancel = retrying(self._cancel)
        self.capture = retrying(self._capture)

    def _begin(self, items: Sequence[Begin]) -> list[Begun]:
        with self._services.database.transaction() as transaction:
            begun = self._parts.begin(
                transaction,
                items,
                processors=self._names,
                limits=self._limits,
                approvals=self._approvals,
            )
        _count_accepted(items, begun)
        return begun

    def _settle(self, items: Sequence[Settlement]) -> list[LifecycleRow]:
        with self._services.database.transaction() as transaction:
            return self._parts.settle(
                transaction, items, policies=self._services.policies, dice=random.random
            )

    def _cancel(self, items: Sequence[Cancellation]) -> list[ChargeRow | Refused]:
        with self._services.database.transaction() as transaction:
            rows = self._parts.cancel(transaction, items)
            # The executor continues with them; if it dies, the sweep wakes them.
            transaction.wakes.charges.difference_update(one.charge_id for one in items)
            return rows

    def _capture(self, items: Sequence[NewCapture]) -> list[Accepted | Refused]:
        with self._services.database.transaction() as transaction:
            accepted = self._parts.capture(transaction, items, limits=self._limits)
            # As above.
            transaction.wakes.charges.difference_update(one.request.charge_id for one in items)
            return accepted


def make_executor(services: Services, parts: Parts = REAL) -> BlockingExecutor:
    """The executor for a worker's threads: all of them share a group committer for each step."""
    steps, watch = Steps(services, parts), watch_of(services.settings.traces_url)
    return BlockingExecutor(
        cancel=GroupCommitter(steps.cancel).submit,
        capture=GroupCommitter(steps.capture).submit,
        begin=GroupCommitter(steps.begin, shared=_price_asked_for).submit,
        settle=GroupCommitter(steps.settle, shared=_price_charged).submit,
        processors=services.processors,
        policies=services.policies,
        new_lease=_leases(services),
        call_deadline_s=services.settings.call_deadline_s,
        clock=since_boot_s,
        watch=watch,
    )


def make_loop_executor(services: Services, parts: Parts = REAL) -> Executor:
    """The executor for a worker's event loop. Blocking work is done in threads, which end with the
    process: one for each batch that is written, and one for each call of a processor whose verbs
    aren't `async`."""
    steps, watch = Steps(services, parts), watch_of(services.settings.traces_url)
    calling = ThreadPoolExecutor(services.settings.slots, "payments-call")
    writing = ThreadPoolExecutor(WRITERS, "payments-database")

    def committed(
        step: Callable[[Sequence[Any]], Sequence[Any]],
        shared: Callable[[Any], Hashable] = lambda _: None,
    ) -> Callable[[Any], Awaitable[Any]]:
        async def run(items: Sequence[Any]) -> Sequence[Any]:
            return await asyncio.get_running_loop().run_in_executor(writing, step, items)

        return LoopCommitter(run, shared=shared).submit

    return Executor(
        cancel=committed(steps.cancel),
        capture=committed(steps.capture),
        begin=committed(steps.begin, _price_asked_for),
        settle=committed(steps.settle, _price_charged),
        caller=Caller(
            services.processors,
            services.policies,
            ask=OnLoop(calling),
            deadline_s=services.settings.call_deadline_s,
            clock=since_boot_s,
            watch=watch,
        ),
        processors=services.processors,
        new_lease=_leases(services),
        clock=since_boot_s,
        watch=watch,
    )


def _count_accepted(items: Sequence[Begin], begun: Sequence[Begun]) -> None:
    counting.accepted(
        "message",
        (
            (item.target[0].name, answer.row)
            for item, answer in zip(items, begun, strict=True)
            if item.new is not None and not isinstance(answer, Refused)
        ),
    )


def _leases(services: Services) -> Callable[[], Lease]:
    return partial(lease, worker_name(), services.settings.lease_s)


def _price_asked_for(item: Begin) -> str | None:
    """The price that several items may need at once, by the name that they use."""
    request = item.new.request if item.new is not None else None
    return request.price_id if isinstance(request, ChargeRequest) else None


def _price_charged(item: Settlement) -> str | None:
    """The price whose stock may come back."""
    return as_charge(item.claimed.row).price_id if database_steps.may_release(item) else None
