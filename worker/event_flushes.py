"""When the events for Flower are sent: soon after the first, many in one message."""

import threading
from typing import Any

# For a person watching Flower, a quarter of a second is immediate.
EVENTS_AFTER_S = 0.25
EVENTS_MAX = 500


class SoonFlushed:
    """Flushes a dispatcher once for all events of a quarter of a second, on the thread of the loop,
    which must create this.

    Celery flushes in every iteration of its loop, which costs a tenth of all our time; a timer that
    always runs would cost an idle worker half of its time.
    """

    def __init__(self, hub: Any, dispatcher: Any) -> None:
        self._hub, self._dispatcher = hub, dispatcher
        self._thread, self._is_due = threading.get_ident(), False
        if dispatcher is not None:
            dispatcher.buffer_limit = EVENTS_MAX

    def has_more(self) -> None:
        """An event waits. The loop's timers are for its own thread: events of a task's thread go
        out with the next one, or when the consumer tidies up."""
        if not self._is_due and threading.get_ident() == self._thread:
            self._is_due = True
            self._hub.call_later(EVENTS_AFTER_S, self._flush)

    def _flush(self) -> None:
        self._is_due = False
        self._dispatcher.flush()
