"""Claim, call, settle: how one charge or refund gets from asked to final.

`Executor` is what a worker holds. Its two database steps are `payments.lifecycle.database_steps`;
the call between them has no transaction open.
"""

import logging
import time
from collections.abc import Awaitable, Callable

from infra.billing.contract.ids import is_request_id
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from models.rows import LifecycleRow
from models.states import State
from payments.intake.timing import ANY_TIME, Timing
from payments.kinds import CHARGE, Kind
from payments.lifecycle.accepting.asked import Accepted, new
from payments.lifecycle.calls import Caller, Unwatched, Watch
from payments.lifecycle.cancels import Cancellation
from payments.lifecycle.capturing.captures import NewCapture
from payments.lifecycle.claims import Claimed, Lease, NotDue
from payments.lifecycle.database_steps import Begin, Begun, Settlement
from payments.payment_errors import Refused
from payments.processors.registry import Processors

log = logging.getLogger(__name__)


class Executor:
    """Carries one order from claim to settled.

    Its steps are awaited: on an event loop, where hundreds of orders wait at once, and in threads,
    where an awaited step completes at once (`payments.lifecycle.blocking`).
    """

    def __init__(
        self,
        *,
        begin: Callable[[Begin], Awaitable[Begun]],
        settle: Callable[[Settlement], Awaitable[LifecycleRow]],
        cancel: Callable[[Cancellation], Awaitable[LifecycleRow | Refused]],
        capture: Callable[[NewCapture], Awaitable[Accepted | Refused]],
        caller: Caller,
        processors: Processors,
        new_lease: Callable[[], Lease],
        clock: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Unwatched()
        self._begin, self._settle = begin, settle
        self._cancel, self._capture = cancel, capture
        self._processors = processors
        self._new_lease = new_lease
        self._clock = clock
        self._caller = caller
        self._missed: set[str] = set()

    async def create(
        self,
        request: ChargeRequest | RefundRequest,
        *,
        task_id: str | None = None,
        timing: Timing = ANY_TIME,
        traceparent: str | None = None,
    ) -> LifecycleRow:
        """Accept a ChargeRequest or RefundRequest and carry it as far as possible now.

        `task_id` is the message's: once refused, it is refused for ever; `timing` are its time
        limits. Returns the row as it stands then. Raises Refused.
        """
        lease = self._new_lease()
        asked = new(
            request,
            self._processors,
            lease=lease,
            request_id=task_id if is_request_id(task_id) else None,
            timing=timing,
            traceparent=traceparent,
        )
        return await self._go(Begin(lease, new=asked, task_id=task_id))

    async def submit(self, kind: Kind, id_: str) -> LifecycleRow:
        """Continue with a row that is due; a row that isn't is left alone. Raises NotFound."""
        return await self._go(Begin(self._new_lease(), kind=kind, id=id_))

    async def cancel(self, one: Cancellation) -> LifecycleRow:
        """End a charge, now if that is possible; returns it as it stands then. Raises Refused."""
        row = await self._cancel(one)
        if isinstance(row, Refused):
            raise row
        if row.state != State.PENDING or row.lease_token is not None:
            return row
        return await self.submit(CHARGE, one.charge_id)

    async def capture(self, new: NewCapture) -> LifecycleRow:
        """Capture authorized money; returns the charge as it stands then. Raises Refused."""
        accepted = await self._capture(new)
        if isinstance(accepted, Refused):
            raise accepted
        return await self.submit(CHARGE, new.request.charge_id)

    async def _go(self, item: Begin) -> LifecycleRow:
        begun, leased_until = await self._claim(item)
        if isinstance(begun, Refused):
            raise begun
        if isinstance(begun, NotDue):
            self._note_missing(begun.row)
            return begun.row
        with self._watch.attempt(begun) as watched:
            verb, found = await self._caller.call(begun, leased_until)
            row = await self._settle(Settlement(begun, verb, found))
            watched.settled(verb, row)
            return row

    def _note_missing(self, row: LifecycleRow) -> None:
        """Log, once for each processor, that rows wait for one that this worker doesn't have."""
        name = row.processor
        if row.state == State.PENDING and name not in self._processors.keys() | self._missed:
            self._missed.add(name)
            log.warning("this worker has no processor %r; what names it is left alone", name)

    async def _claim(self, item: Begin) -> tuple[Begun, float]:
        """Begin; also returns until when, by the local clock, the lease is certainly valid.

        If that took long, the database was away or this process was stopped: the lease is then
        confirmed, with the same token, before anything is sent.
        """
        while True:
            asked_at = self._clock()
            begun = await self._begin(item)
            took_s = self._clock() - asked_at
            if not isinstance(begun, Claimed) or took_s < item.lease.seconds / 2:
                return begun, asked_at + item.lease.seconds
            item = Begin(item.lease, kind=begun.kind, id=begun.id)
