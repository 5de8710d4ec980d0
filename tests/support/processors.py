"""What the conformance kit needs to know about a processor to try it.

To put a processor of ours to the kit: write its rig and add it to
`tests.support.rigs.RIGS`. To put one of a package
to it: `make conformance RIG=module:function` (docs/how-to/add-a-processor.md).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from payments.processors.outcomes import Authorized, Pending, Succeeded
from payments.processors.port import (
    Authorizes,
    BringsEvents,
    FoundRefund,
    Order,
    Processor,
    ProcessorEvent,
)
from payments.processors.sandbox import Sandbox
from payments.processors.stripe.wire import CHARGE_ID, REFUND_ID
from service.database.group_commit import GroupCommitter
from service.wiring import open_sandbox
from tests.support.cuttable import cuttable
from tests.support.sandbox import a_charge, moved, time_passes
from tests.support.sink import webhook_sink
from tests.support.stripe import API_KEY, WEBHOOK_SECRET, stripe_at
from tests.support.stripe_door import stripe_door
from tests.support.waiting import patience_s, wait_for

DEADLINE_S = 5.0
RETURN_URL = "https://shop.example.com/paid"
Event = tuple[Mapping[str, str], bytes]


@dataclass(frozen=True)
class Rig:
    """A processor, and what only somebody on its side of the road can do and see."""

    processor: Processor
    # The same processor as another process of ours would reach it.
    elsewhere: Processor
    # What is to happen → the payment method that makes it happen. What a processor can't be made
    # to do is left out, and its tests are skipped.
    methods: Mapping[str, str]
    # Direction and amount of each movement of money for one charge or refund.
    moved: Callable[[Order], list[tuple[str, int]]]
    time_passes: Callable[[timedelta], None]
    # Naps taken instead of slept, in seconds.
    naps: list[float] = field(default_factory=list)
    # Events that the processor has told since it was last asked, as headers and body. By default
    # they are fetched; a rig whose processor brings them keeps what came.
    told: Callable[[], list[Event]] | None = None
    # Whether a refund says in which currency it is; else it is in that of the charge, and only its
    # answer tells that another was meant.
    refunds_have_a_currency: bool = True
    # Whether what is set aside may be captured more than once; else a capture of a part that is not
    # the last is declined.
    captures_in_parts: bool = True
    # Whether its records come oldest first; else newest first.
    lists_oldest_first: bool = True
    # Pays out what is due, and tells the ids of the payouts; None: records tell of it.
    pays_out: Callable[[], list[str]] | None = None
    # Whether it tells anything by itself, and its adapter reads it.
    tells: bool = True
    # The line is cut: no connection comes about until the end of the `with`.
    unplugged: Callable[[], AbstractContextManager[None]] | None = None
    # What must stand in no log and in no row of ours.
    secrets: tuple[str, ...] = ()

    def read(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent | None:
        """What an event says, to the door that it is brought to or to who has fetched it; None: it
        is about nothing that is kept."""
        if not isinstance(self.elsewhere, BringsEvents):
            return self.elsewhere.read_event(headers, body)
        heard = self.elsewhere.hear(headers, body, deadline_s=DEADLINE_S)
        assert not isinstance(heard, FoundRefund), "every refund is ours"
        return heard

    def events(self) -> list[Event]:
        """What the processor has told by itself since it was last asked."""
        if not self.tells:
            pytest.skip(f"{self.processor.name} tells nothing by itself")
        return self.processor.pull_events(100) if self.told is None else self.told()


@contextmanager
def stripe_rig(database_url: str) -> Iterator[Rig]:
    """Stripe's adapter, and the stand-in for Stripe, behind a line that can be cut."""
    with ExitStack() as stack:
        sink = stack.enter_context(webhook_sink())
        door = stack.enter_context(stripe_door(webhook_url=sink.url, webhook_secret=WEBHOOK_SECRET))
        line = stack.enter_context(cuttable(door.port))
        for customer in ("cus_ada", "cus_x"):
            door.client().v1.customers.create({"id": customer})  # type: ignore[typeddict-unknown-key]
        ours, other = (
            stack.enter_context(stripe_at(line.url, multicapture=True)) for _ in range(2)
        )

        def seen(order: Order) -> list[tuple[str, int]]:
            if order.kind == "refund":
                names = {"refund": "refund", "refund_failure": "reversal"}
                moved = door.movements(metadata={REFUND_ID: order.id})
            else:
                names = {"charge": order.kind}
                moved = door.movements(metadata={CHARGE_ID: order.charge_id or order.id})
                moved = [one for one in moved if is_moved_by(order, one["key"] or "")]
            return [
                (names[one["direction"]], one["amount"])
                for one in moved
                if one["direction"] in names
            ]

        asked = [0]

        def new_events() -> list[Event]:
            came = sink.requests[asked[0] :]
            asked[0] += len(came)
            return [(dict(one.headers), one.body) for one in came]

        yield Rig(
            processor=ours,
            elsewhere=other,
            methods={
                **STRIPE_METHODS,
                "disputed": "pm_card_createDispute",
                # Of adapters that send `return_url`, and so are told where the customer is asked.
                "requires action": "pm_card_authenticationRequired",
            },
            moved=seen,
            time_passes=lambda duration: door.wait(math.ceil(duration.total_seconds())),
            refunds_have_a_currency=False,
            lists_oldest_first=False,
            pays_out=lambda: [one["id"] for one in door.pay_out()],
            told=new_events,
            unplugged=line.cut,
            secrets=(API_KEY,),
        )


def is_moved_by(order: Order, key: str) -> bool:
    """Whether the request of this key moved it: that of a capture moves money of its charge."""
    return key == order.key if order.kind == "capture" else not key.endswith(":capture")


STRIPE_METHODS = {
    "succeeds": "pm_card_visa",
    "declined": "pm_card_chargeDeclinedInsufficientFunds",
    "event first": "pm_fault_event_before_answer",
    "timeout after": "pm_fault_applied_then_timeout_once",
    "timeout before": "pm_fault_timeout_before_once",
    "error after": "pm_fault_applied_then_500_once",
    "applied late": "pm_fault_applied_late_60000",
    "broken answer": "pm_fault_broken_json_once",
    "cut answer": "pm_fault_reset_at_byte_300_once",
    "conflict": "pm_fault_409_once",
    "unavailable": "pm_fault_lock_timeout_once",
    "unavailable twice": "pm_fault_lock_timeout_twice",
    "rate limited": "pm_fault_429_once",
    "slow": "pm_fault_slow_60000_once",
    "late success": "pm_fault_late_success",
    "capture timeout after": "pm_fault_capture_applied_then_timeout_once",
    "capture timeout before": "pm_fault_capture_timeout_before_once",
    "capture error after": "pm_fault_capture_applied_then_500_once",
    "capture unavailable": "pm_fault_capture_lock_timeout_once",
    "refund timeout after": "pm_fault_refund_applied_then_timeout_once",
    "refund timeout before": "pm_fault_refund_timeout_before_once",
    "refund error after": "pm_fault_refund_applied_then_500_once",
    "refund broken answer": "pm_fault_refund_broken_json_once",
    "refund unavailable": "pm_fault_refund_lock_timeout_once",
    "refund rate limited": "pm_fault_refund_429_once",
    "refund fails": "pm_fault_refund_declined",
    "refund fails later": "pm_card_refundFail",
}


SANDBOX_METHODS = {
    "succeeds": "pm_card_visa",
    "declined": "pm_card_chargeDeclinedInsufficientFunds",
    "event first": "pm_sandbox_event_first",
    "timeout after": "pm_sandbox_timeout_after",
    "timeout before": "pm_sandbox_timeout_before",
    "error after": "pm_sandbox_error_after",
    "unavailable": "pm_sandbox_unavailable_1",
    "unavailable twice": "pm_sandbox_unavailable_2",
    "rate limited": "pm_sandbox_rate_limited",
    "slow": "pm_sandbox_slow_60000",
    "late success": "pm_sandbox_late_success",
    "disputed": "pm_sandbox_disputed",
    "requires action": "pm_sandbox_requires_action",
    "cancel too late": "pm_sandbox_cancel_too_late",
    "cancel timeout after": "pm_sandbox_cancel_timeout_after",
    "cancel timeout before": "pm_sandbox_cancel_timeout_before",
    "cancel error after": "pm_sandbox_cancel_error_after",
    "cancel unavailable twice": "pm_sandbox_cancel_unavailable_2",
    "capture timeout after": "pm_sandbox_capture_timeout_after",
    "capture timeout before": "pm_sandbox_capture_timeout_before",
    "capture error after": "pm_sandbox_capture_error_after",
    "capture unavailable": "pm_sandbox_capture_unavailable_1",
    "capture declined": "pm_sandbox_capture_fails",
    "refund timeout after": "pm_sandbox_refund_timeout_after",
    "refund timeout before": "pm_sandbox_refund_timeout_before",
    "refund error after": "pm_sandbox_refund_error_after",
    "refund unavailable": "pm_sandbox_refund_unavailable_1",
    "refund rate limited": "pm_sandbox_refund_rate_limited",
    "refund fails": "pm_sandbox_refund_fails",
    "refund fails later": "pm_sandbox_refund_fails_later",
}


@contextmanager
def sandbox(database_url: str) -> Iterator[Rig]:
    """The sandbox, on a database of its own, with waits that take no time."""
    engine = open_sandbox(database_url, pool_size=16)
    naps: list[float] = []
    settings: dict[str, Any] = {"timeout_ms": 1000, "sleep": naps.append}

    def seen(order: Order) -> list[tuple[str, int]]:
        with engine.connect() as connection:
            return moved(connection, order)

    try:
        yield Rig(
            # As a worker wires it; and as somebody would who has one thing to ask.
            processor=Sandbox(engine, batch=lambda run: GroupCommitter(run).submit, **settings),
            elsewhere=Sandbox(engine, **settings),
            methods=SANDBOX_METHODS,
            moved=seen,
            time_passes=lambda duration: time_passes(engine, duration),
            naps=naps,
        )
    finally:
        engine.dispose()


def event_of(rig: Rig, order: Order, *, outcome: type) -> Event:
    """The event that tells this of the order."""
    came: list[Event] = []

    def find() -> Event | None:
        came.extend(rig.events())
        for event in came:
            read = rig.read(*event)
            if read and read.object_id == order.id and isinstance(read.outcome, outcome):
                return event
        return None

    wait_for(lambda: find() is not None, what=f"an event of {order.id}")
    event = find()
    assert event is not None
    return event


def charge_that(rig: Rig, happening: str, **changes: object) -> Order:
    if happening not in rig.methods:
        pytest.skip(f"{rig.processor.name} can't be made to do this: {happening}")
    return a_charge(rig.methods[happening], **changes)


def taken(rig: Rig, happening: str = "succeeds", **changes: object) -> Order:
    """A charge whose money has moved."""
    charge = charge_that(rig, happening, **changes)
    outcome = send(rig.processor, charge)
    assert isinstance(outcome, Succeeded)
    return replace(charge, reference=outcome.reference)


def authorized(rig: Rig, happening: str = "succeeds") -> Order:
    """A charge whose money is set aside."""
    if not isinstance(rig.processor, Authorizes):
        pytest.skip(f"{rig.processor.name} can't set money aside")
    charge = charge_that(rig, happening, capture="manual")
    outcome = send(rig.processor, charge)
    assert isinstance(outcome, Authorized)
    return replace(charge, reference=outcome.reference)


def authorized_in_parts(rig: Rig) -> Order:
    """A charge whose money is set aside, to be captured in parts."""
    if not rig.captures_in_parts:
        pytest.skip(f"{rig.processor.name} captures once")
    return authorized(rig)


def waiting(rig: Rig, happening: str = "requires action", **changes: object) -> Order:
    """A charge that waits for its customer."""
    # Who is to be asked has to be there.
    charge = charge_that(rig, happening, return_url=RETURN_URL, **changes)
    outcome = send(rig.processor, charge)
    assert isinstance(outcome, Pending)
    assert outcome.reason == "requires_action"
    assert outcome.next_action is not None
    return replace(charge, reference=outcome.reference)


def send(processor: Processor, order: Order) -> object:
    verb: Any = getattr(processor, order.kind)
    return verb(order, deadline_s=DEADLINE_S)


def look_up(rig: Rig, order: Order) -> object:
    return rig.elsewhere.look_up(order, deadline_s=DEADLINE_S)


def cancel(rig: Rig, order: Order) -> object:
    return rig.elsewhere.cancel(order, deadline_s=DEADLINE_S)


def at_once(rig: Rig, orders: list[Order]) -> list[object]:
    """Send all orders at the same instant, from threads of two processes' worth of adapters."""
    gate = Barrier(len(orders))

    def go(place: int) -> object:
        gate.wait(timeout=patience_s())
        return send((rig.processor, rig.elsewhere)[place % 2], orders[place])

    with ThreadPoolExecutor(len(orders)) as pool:
        return list(pool.map(go, range(len(orders))))


MakeRig = Callable[[str], AbstractContextManager[Rig]]
