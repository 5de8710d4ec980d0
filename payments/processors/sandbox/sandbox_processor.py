"""The sandbox as a processor: calls its books, with simulated network faults on the way."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, or_, select

from payments.processors.outcomes import Found, NotFound, Outcome, Succeeded, Unknown
from payments.processors.port import Order, ProcessorEvent, Record
from payments.processors.processor_limits import ANYTHING, MoneyLimits
from payments.processors.sandbox import ledger, records, sandbox_events, transitions
from payments.processors.sandbox.aftermath import fees_of
from payments.processors.sandbox.books import carry_out
from payments.processors.sandbox.sandbox_answers import Answer
from payments.processors.sandbox.sandbox_requests import Instruction
from payments.processors.sandbox.sandbox_scripts import script_for

log = logging.getLogger(__name__)

Run = Callable[[Sequence[Instruction]], list[Answer]]
Submit = Callable[[Instruction], Answer]
# Turns a function of a list into one of a single item: a group committer, or one at a time.
Batch = Callable[[Run], Submit]

_ANY_DUE = select(or_(transitions.ANY_DUE, sandbox_events.ANY_DUE))
TIMEOUT = Unknown("timeout")

# The sandbox moves no real money, so this secret protects nothing; it exists so that signing and
# checking use the same code path as with a real processor.
EVENT_SECRET = b"the sandbox has no secrets"

# Transitions that are made per fetch; a sweep comes every second.
TURNS_MAX = 256


def one_at_a_time(run: Run) -> Submit:
    """Each instruction in its own transaction."""
    return lambda instruction: run([instruction])[0]


class Sandbox:
    """A processor that moves money in its own tables only.

    It never takes part in our transactions: `engine` gives it its own connections. `batch` may
    gather the instructions of many threads into one transaction. `latency_ms` is the total duration
    of every call; `timeout_ms` is how long a caller waits for an answer that never comes.
    """

    livemode = False

    def __init__(
        self,
        engine: Engine,
        *,
        name: str = "sandbox",
        batch: Batch = one_at_a_time,
        latency_ms: float = 0,
        timeout_ms: float = 1000,
        key_window: timedelta = timedelta(hours=24),
        limits: MoneyLimits = ANYTHING,
        event_secret: bytes = EVENT_SECRET,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self.name = name
        self.key_window = key_window
        self.limits = limits
        self._engine = engine
        # One statement is its own transaction: it needs no BEGIN and no COMMIT.
        self._looking = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._submit = batch(self._run)
        self._road_s = latency_ms / 2000
        self._timeout_s = timeout_ms / 1000
        self._event_secret = event_secret
        self._clock = clock
        self._sleep = sleep

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        """Take the money of a charge, once per key."""
        return _executed(_with_fees(order, self._call(Instruction("execute", order), deadline_s)))

    def refund(self, order: Order, *, deadline_s: float) -> Outcome:
        """Refund a charge, once per key and never more than was captured."""
        return _executed(self._call(Instruction("execute", order), deadline_s))

    def capture(self, order: Order, *, deadline_s: float) -> Found:
        """Capture authorized money, once per key and never more than is left of it."""
        return self._call(Instruction("execute", order), deadline_s)

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        """The result of a charge, capture or refund, however long ago."""
        return _with_fees(order, self._call(Instruction("look_up", order), deadline_s))

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        """End a charge that waits for its customer, or that never arrived; see the port."""
        return self._call(Instruction("cancel", order), deadline_s)

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """The event in `body`; raises EventRefused unless it is signed, recent and well-formed."""
        return sandbox_events.read(headers, body, secret=self._event_secret, now=self._clock())

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        """Events that are due, oldest first; each comes several times (see `events`)."""
        if not self._is_any_due():  # called once a second, and mostly nothing is due
            return []
        with self._engine.begin() as connection:
            transitions.turn_due(connection, limit=TURNS_MAX)
            bodies = sandbox_events.offer(connection, limit=limit)
        now = self._clock()
        return [
            (sandbox_events.sign(body, secret=self._event_secret, now=now), body) for body in bodies
        ]

    def _is_any_due(self) -> bool:
        with self._looking.connect() as connection:
            return bool(connection.scalar(_ANY_DUE))

    def statement(self) -> Select[Any]:
        """The money that it moved, by its ledger."""
        return ledger.statement()

    def records(
        self, since: datetime, until: datetime, *, after: str | None = None
    ) -> Iterator[Record]:
        """What moved at that time by its ledger, in the order of writing."""
        return records.lines(self._engine, since, until, after=after)

    def records_of_payout(self, payout_id: str, *, after: str | None = None) -> Iterator[Record]:
        """The lines that were paid out together; see `records`."""
        return records.payout(self._engine, payout_id, after=after)

    def _run(self, instructions: Sequence[Instruction]) -> list[Answer]:
        return carry_out(self._engine, instructions, memory=self.key_window)

    def _call(self, instruction: Instruction, deadline_s: float) -> Found:
        """Travel there, update the books, and travel back. No transaction is open while it sleeps.

        The money moves half-way: a worker that dies on the way there has left nothing; one that
        dies on the way back has left a charge that our side doesn't know of.
        """
        ends_at = time.monotonic() + deadline_s
        self._travel(self._road_s, ends_at)
        try:
            answer = self._submit(instruction)
        except Exception as error:  # noqa: BLE001  # Whatever the error, money may have moved.
            # The commit may have succeeded before the connection broke.
            log.warning("sandbox call failed: %s", type(error).__name__)
            return Unknown("server_error")
        if answer.outcome is None:
            self._travel(self._timeout_s, ends_at)
            return TIMEOUT
        arrived = self._travel(self._road_s + answer.delay_s, ends_at)
        return answer.outcome if arrived else TIMEOUT

    def _travel(self, seconds: float, ends_at: float) -> bool:
        """Sleep this long, but not past the deadline; returns whether that was enough."""
        left = ends_at - time.monotonic()
        if seconds > 0:
            self._sleep(max(0.0, min(seconds, left)))
        return seconds <= left


def _with_fees(order: Order, found: Found) -> Found:
    """The outcome with the sandbox's fee, if that comes with the success."""
    has_fees = order.kind == "charge" and script_for(order.payment_method_id).fees == "told"
    if not has_fees or not isinstance(found, Succeeded):
        return found
    return replace(found, fees=fees_of(found.captured or order.amount, order.currency))


def _executed(found: Found) -> Outcome:
    if isinstance(found, NotFound):  # Never the answer to a request to execute.
        return Unknown("adapter_error")
    return found
