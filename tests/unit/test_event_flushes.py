"""When a worker's events go out: soon after the first, and without a timer while there are none."""

import threading
from typing import Any

from worker.event_flushes import EVENTS_AFTER_S, SoonFlushed


class Hub:
    def __init__(self) -> None:
        self.later: list[tuple[float, Any]] = []

    def call_later(self, delay_s: float, call: Any) -> None:
        self.later.append((delay_s, call))


class Dispatcher:
    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_many_events_are_one_message() -> None:
    hub, dispatcher = Hub(), Dispatcher()
    soon = SoonFlushed(hub, dispatcher)
    for _ in range(5):
        soon.has_more()
    ((delay_s, flush),) = hub.later
    assert delay_s == EVENTS_AFTER_S
    flush()
    assert dispatcher.flushes == 1
    soon.has_more()
    assert len(hub.later) == 2


def test_another_thread_leaves_the_timers_of_the_loop_alone() -> None:
    hub = Hub()
    soon = SoonFlushed(hub, Dispatcher())
    other = threading.Thread(target=soon.has_more)
    other.start()
    other.join()
    assert hub.later == []
