"""The real app with a processor that answers at once: what is left is our own work.

Started as `celery -A benchmarks.messages.instant_app worker`.
"""

from collections.abc import Mapping
from datetime import timedelta

from payments.processors.outcomes import Found, NotFound, Outcome, Succeeded
from payments.processors.port import Order, ProcessorEvent
from payments.processors.processor_limits import ANYTHING
from service.settings import Settings
from service.wiring import Parts
from worker.app import app


class Instant:
    """Takes every amount at once, and keeps no books."""

    name = "sandbox"
    livemode = False
    key_window = timedelta(days=1)
    limits = ANYTHING

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        return Succeeded(reference=order.key)

    refund = charge

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        return NotFound()

    cancel = look_up

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        raise NotImplementedError  # it never offers one

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        return []


class InstantOnLoop(Instant):
    """The same for an event loop, which would give each call a thread otherwise."""

    async def charge(self, order: Order, *, deadline_s: float) -> Outcome:  # type: ignore[override]  # the port takes both
        return Succeeded(reference=order.key)


def make(settings: Settings) -> Instant:
    return InstantOnLoop() if settings.dispatch == "loop" else Instant()


app.parts = Parts(processors={"sandbox": make})
