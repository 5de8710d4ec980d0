"""What the contract suite needs to know about a processor to try it.

To put another processor under the contract: write its rig here and add it to `RIGS`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from payments.processors.port import Order, Processor
from payments.processors.sandbox import Sandbox
from service.database.group_commit import GroupCommitter
from service.wiring import open_sandbox
from tests.support.sandbox import moved, time_passes


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


RIGS: Mapping[str, Callable[[str], AbstractContextManager[Rig]]] = {"sandbox": sandbox}
