"""A processor on paper: it remembers keys, moves money once per key, and may lose its answers."""

from collections.abc import Mapping
from datetime import timedelta

from payments.processors.outcomes import Found, NotFound, Outcome, Succeeded, Unknown
from payments.processors.port import Order, ProcessorEvent


class Paper:
    """`asked` is every call, as verb and key; `moved` the orders whose money moved, by their keys.

    While `is_silent`, money moves and nobody hears of it; while `is_deaf`, no call arrives.
    """

    def __init__(self, name: str, *, key_window: timedelta = timedelta(days=1)) -> None:
        self.name = name
        self.key_window = key_window
        self.livemode = False
        self.is_silent = self.is_deaf = False
        self.asked: list[tuple[str, str]] = []
        self.moved: dict[str, Order] = {}

    def charge(self, order: Order, *, deadline_s: float) -> Outcome:
        return self._execute("charge", order)

    def refund(self, order: Order, *, deadline_s: float) -> Outcome:
        return self._execute("refund", order)

    def look_up(self, order: Order, *, deadline_s: float) -> Found:
        self.asked.append(("look_up", order.key))
        return Succeeded(self._reference(order)) if order.key in self.moved else NotFound()

    def cancel(self, order: Order, *, deadline_s: float) -> Found:
        """What has not moved by now is never heard of, and may still come."""
        self.asked.append(("cancel", order.key))
        return Succeeded(self._reference(order)) if order.key in self.moved else NotFound()

    def read_event(self, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        raise NotImplementedError

    def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
        return []

    def _execute(self, verb: str, order: Order) -> Outcome:
        self.asked.append((verb, order.key))
        if not self.is_deaf:
            self.moved.setdefault(order.key, order)
        if self.is_deaf or self.is_silent:
            return Unknown("timeout")
        return Succeeded(self._reference(order))

    def _reference(self, order: Order) -> str:
        return f"{self.name}_{order.id}"
