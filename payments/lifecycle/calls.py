"""The call between claim and settle: what is asked of a processor, with no transaction open."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from models.rows import LifecycleRow
from models.states import Phase
from payments.lifecycle.capturing.authorizations import shows_no_capture
from payments.lifecycle.claims import Claimed
from payments.lifecycle.settlement import Policy
from payments.processors.outcomes import Found, NotFound, Unavailable, Unknown
from payments.processors.port import Order
from payments.processors.registry import Processors

log = logging.getLogger(__name__)

# The reason why a row of test mode waits while its processor is set up for live mode, or vice
# versa.
OTHER_MODE = "livemode_differs"
# Once that is fixed, a minute's delay does no harm.
ASK_AGAIN_S = 60.0


Verb = Callable[..., Any]


async def within(answer: Awaitable[Found], deadline_s: float) -> Found:
    """The answer of an `async` verb, within `deadline_s` seconds. Raises TimeoutError."""
    async with asyncio.timeout(deadline_s):
        return await answer


class Asking(Protocol):
    """How a verb of a processor is called: `verb(order, deadline_s=…)` returns what it found, or an
    awaitable of it."""

    def __call__(self, verb: Verb, order: Order, *, deadline_s: float) -> Awaitable[Found]: ...


class Watched(AbstractContextManager["Watched", None]):
    """An attempt or a call in progress; this base class records nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def answered(self, found: Found) -> None:
        """The call was answered."""

    def settled(self, verb: str, row: LifecycleRow) -> None:
        """The attempt was settled; `verb` is what was done, `row` the row afterwards."""


class Watch(Protocol):
    """Makes a `Watched` when an attempt or a call begins."""

    def attempt(self, claimed: Claimed) -> Watched:
        """From the claim to the settlement."""
        ...

    def call(self, claimed: Claimed, verb: str) -> Watched:
        """One call to a processor; an attempt has none, one or two."""
        ...


class Unwatched:
    """Records nothing."""

    _watched = Watched()

    def attempt(self, claimed: Claimed) -> Watched:
        return self._watched

    def call(self, claimed: Claimed, verb: str) -> Watched:
        return self._watched


class Caller:
    """Calls the processor that a row names, by `ask`. Every call has a deadline; `clock` is local,
    in seconds."""

    def __init__(
        self,
        processors: Processors,
        policies: Mapping[str, Policy],
        *,
        ask: Asking,
        deadline_s: float,
        clock: Callable[[], float],
        watch: Watch | None = None,
    ) -> None:
        self._ask = ask
        self._watch = watch or Unwatched()
        self._processors = processors
        self._policies = policies
        self._deadline_s = deadline_s
        self._clock = clock
        # The processors already logged as set up for the other mode.
        self._alarmed: set[str] = set()

    async def call(self, claimed: Claimed, leased_until: float) -> tuple[str, Found]:
        """What was asked (`charge`, `capture`, `refund`, `look_up`, `cancel`), and the result.

        A row in doubt is looked up first, and sent again only while that is safe. A charge that is
        to end is only ever canceled. Never raises: a call that fails is unknown.
        """
        verb: str = "look_up" if claimed.in_doubt else claimed.verb
        if claimed.is_to_end:
            verb = "cancel"
        if (objection := self._objection(claimed)) is not None:
            return verb, objection
        try:
            if verb == "cancel":
                return verb, await self._cancel(claimed)
            if verb == claimed.verb:
                return verb, await self._send(claimed, leased_until)
            found = await self._look_up(claimed)
            may_resend = self._policies[claimed.processor].may_resend(claimed.row, claimed.now)
            in_the_dark = claimed.row.phase == Phase.UNKNOWN and _not_executed(claimed, found)
            if in_the_dark and may_resend:
                # The processor doesn't know it, and remembers keys for longer than the time since
                # our first call: sending again with the same key can't move money twice.
                verb = claimed.verb
                return verb, await self._send(claimed, leased_until)
            return verb, found
        # Whatever was raised, money may have moved, also if the call's future was canceled.
        except (Exception, asyncio.CancelledError) as broken:  # noqa: BLE001
            # The adapter should have answered with a value; money may have moved before it raised.
            # The error's text stays out of the log, as it may hold what was sent.
            log.error(
                "processor %s raised %s for %s; treated as unknown",
                claimed.processor,
                type(broken).__name__,
                claimed.id,
            )
            return verb, Unknown("adapter_error")

    def _objection(self, claimed: Claimed) -> Unavailable | None:
        """Why the processor must not be called. With a key of test mode it doesn't know live
        objects, or vice versa: it would report money that has moved as not found."""
        is_live = self._processors[claimed.processor].livemode
        if claimed.row.livemode == is_live:
            return None
        if claimed.processor not in self._alarmed:
            self._alarmed.add(claimed.processor)
            log.error(
                "%s is set up for %s mode, and charges and refunds of %s mode wait for it; see"
                " `billing doctor`",
                claimed.processor,
                *(("live", "test") if is_live else ("test", "live")),
            )
        return Unavailable(OTHER_MODE, ASK_AGAIN_S, needs_operator=True)

    async def _look_up(self, claimed: Claimed) -> Found:
        processor = self._processors[claimed.processor]
        return await self._call(claimed, "look_up", processor.look_up)

    async def _cancel(self, claimed: Claimed) -> Found:
        # If another worker holds the lease by now, it cancels as well, and canceling twice is
        # harmless.
        processor = self._processors[claimed.processor]
        return await self._call(claimed, "cancel", processor.cancel)

    async def _send(self, claimed: Claimed, leased_until: float) -> Found:
        # If this process was stopped after the claim (SIGSTOP, a suspended machine), another worker
        # may have settled the row, so long ago that the processor has forgotten the key.
        if self._clock() >= leased_until:
            return Unknown("lease_expired")
        kind = claimed.order.kind
        send = getattr(self._processors[claimed.processor], kind)
        if not inspect.iscoroutinefunction(send):
            send = self._while_leased(send, leased_until)
        return await self._call(claimed, kind, send)

    def _while_leased(self, verb: Verb, leased_until: float) -> Verb:
        """The verb for a thread. A thread may not be free at once, so the lease is checked again
        there."""

        def send(order: Order, *, deadline_s: float) -> Any:
            if self._clock() >= leased_until:
                return Unknown("lease_expired")
            return verb(order, deadline_s=deadline_s)

        return send

    async def _call(self, claimed: Claimed, name: str, verb: Verb) -> Found:
        with self._watch.call(claimed, name) as watched:
            found = await self._ask(verb, claimed.order, deadline_s=self._deadline_s)
            watched.answered(found)
            return found


def _not_executed(claimed: Claimed, found: Found) -> bool:
    """Whether the processor says that it has not executed this. For a capture, an authorization
    with no more captured than before says so."""
    if claimed.capture is None:
        return isinstance(found, NotFound)
    return shows_no_capture(found, claimed.order.captured_before)
