"""When the events that Flower reads go out: soon after the first, many to a message."""

import threading
from typing import Any

# Flower reads along; a quarter of a second is at once for a person.
EVENTS_AFTER_S = 0.25
EVENTS_MAX = 500


class SoonFlushed:
    """Flushes a dispatcher once for all events of a quarter of a second, on the thread that makes
    this, which is that of the loop.

    Celery flushes with every turn of its loop, which costs a tenth of all our time; a timer that
    always runs would cost a worker at rest half of its.
    """

    def __init__(self, hub: Any, dispatcher: Any) -> None:
        self._hub, self._dispatcher = hub, dispatcher
        self._thread, self._is_due = threading.get_ident(), False
        if dispatcher is not None:
            dispatcher.buffer_limit = EVENTS_MAX

    def has_more(self) -> None:
        """An event waits. The loop's timers are for its own thread: what a task's thread has to
        tell goes out with the next, or when the consumer tidies up."""
        if not self._is_due and threading.get_ident() == self._thread:
            self._is_due = True
            self._hub.call_later(EVENTS_AFTER_S, self._flush)

    def _flush(self) -> None:
        self._is_due = False
        self._dispatcher.flush()
