"""A processor that takes its time and says yes: what the other contenders call, as an adapter.

Installed by being on the path: the folder holds what pip would write, with the entry point.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from payments.processors.outcomes import Found, NotFound, Outcome, Succeeded
from payments.processors.port import EventRefused, Order, ProcessorEvent


class Stub:
    """It keeps no ledger: a look-up never finds anything."""

    name = "stub"
    livemode = False
    key_window = timedelta(hours=24)

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s

    async def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        return Succeeded(reference=f"proc_{uuid4().hex}")

    refund = charge

    async def look_up(self, order: Order, *, deadline_s: float) -> Found:
        return NotFound()

    async def cancel(self, order: Order, *, deadline_s: float) -> Found:
        return NotFound()

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        raise EventRefused

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        return []


def make(_: Any) -> Stub:
    """What the entry point names. The latency is no setting of ours, and neither is to post
    nothing, which only the benchmark of the ledger wants."""
    if "STUB_WITHOUT_LEDGER" in os.environ:
        from payments.lifecycle.moving import moves

        moves.post = lambda *_: None  # type: ignore[assignment]
    return Stub(float(os.environ.get("STUB_LATENCY_MS", "0")) / 1000)
