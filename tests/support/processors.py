"""What the contract suite needs to know about a processor to try it.

To put another processor under the contract: write its rig here and add it to `RIGS`.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from payments.processors.outcomes import Authorized, Pending, Succeeded
from payments.processors.port import Authorizes, Order, Processor
from payments.processors.sandbox import Sandbox
from service.database.group_commit import GroupCommitter
from service.wiring import open_sandbox
from tests.support.sandbox import a_charge, moved, time_passes
from tests.support.waiting import patience_s

DEADLINE_S = 5.0


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
    naps: list[float]


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
            methods={
                "succeeds": "pm_card_visa",
                "declined": "pm_card_chargeDeclinedInsufficientFunds",
                "timeout after": "pm_sandbox_timeout_after",
                "timeout before": "pm_sandbox_timeout_before",
                "error after": "pm_sandbox_error_after",
                "unavailable": "pm_sandbox_unavailable_1",
                "unavailable twice": "pm_sandbox_unavailable_2",
                "rate limited": "pm_sandbox_rate_limited",
                "slow": "pm_sandbox_slow_60000",
                "late success": "pm_sandbox_late_success",
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
                "refund fails": "pm_sandbox_refund_fails",
                "refund fails later": "pm_sandbox_refund_fails_later",
            },
            moved=seen,
            time_passes=lambda duration: time_passes(engine, duration),
            naps=naps,
        )
    finally:
        engine.dispose()


def charge_that(rig: Rig, happening: str, **changes: object) -> Order:
    if happening not in rig.methods:
        pytest.skip(f"{rig.processor.name} can't be made to do this: {happening}")
    return a_charge(rig.methods[happening], **changes)


def taken(rig: Rig, happening: str = "succeeds", **changes: object) -> Order:
    """A charge whose money has moved."""
    charge = charge_that(rig, happening, **changes)
    assert isinstance(send(rig.processor, charge), Succeeded)
    return charge


def authorized(rig: Rig, happening: str = "succeeds") -> Order:
    """A charge whose money is set aside."""
    if not isinstance(rig.processor, Authorizes):
        pytest.skip(f"{rig.processor.name} can't set money aside")
    charge = charge_that(rig, happening, capture="manual")
    outcome = send(rig.processor, charge)
    assert isinstance(outcome, Authorized)
    return replace(charge, reference=outcome.reference)


def waiting(rig: Rig, happening: str = "requires action", **changes: object) -> Order:
    """A charge that waits for its customer."""
    charge = charge_that(rig, happening, **changes)
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


RIGS: Mapping[str, Callable[[str], AbstractContextManager[Rig]]] = {"sandbox": sandbox}
