"""Puts broken messages into quarantine: retried until stored, logged without their contents."""

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from payments.intake.masking import READ_MAX, masked_text
from service import faults, log

logger = log.get(__name__)

# While the database is away one try in half a minute is enough, and the first comes soon.
WAIT_FIRST_S = 0.5
WAIT_MAX_S = 30.0


class Sink(Protocol):
    """Stores a broken message permanently and returns the hash of what is kept. May raise."""

    def __call__(
        self,
        raw: bytes,
        *,
        queue: str,
        reason: str,
        headers: dict[str, Any] | None,
        size: int | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A broken message, or the beginning of a large one, as it is kept."""

    raw: bytes
    queue: str
    reason: str
    headers: dict[str, Any] | None
    size: int

    def description(self) -> dict[str, Any]:
        """For the log, without its contents. The hash is that of what is kept."""
        return {
            "reason": masked_text(self.reason),
            "queue": masked_text(self.queue),
            "size": self.size,
        }


def exhibit(
    body: bytes | str | None,
    *,
    queue: str,
    reason: str,
    headers: Mapping[Any, Any] | None,
    size: int = 0,
) -> Exhibit:
    """`size` is that of the whole message if `body` is only its beginning."""
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body or b"")
    try:
        # AMQP headers may be dates, decimals or bytes.
        plain = json.loads(json.dumps(headers, default=str)) if headers else None
    except (ValueError, TypeError, RecursionError):
        plain = None
    headers = plain if isinstance(plain, dict) else None
    # Of a large one only the part to keep: many may wait here while the database is away.
    return Exhibit(raw[:READ_MAX], queue, reason, headers, size=max(size, len(raw)))


class Quarantine:
    """Passes exhibits to the sink, in its own thread so that the worker goes on.

    The message stays unacknowledged in the broker until `kept` is called. While the sink fails it
    waits here and is retried ever more rarely: if it were returned to the queue it would only come
    again and again. If the process ends first, the broker delivers it again.
    """

    def __init__(self, sink: Sink, *, wait_first_s: float = WAIT_FIRST_S) -> None:
        self._sink = sink
        self._wait_first_s = wait_first_s
        self._closed = False
        self._due: list[tuple[float, int, int, Exhibit, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def take(self, exhibit: Exhibit, kept: Callable[[], None]) -> None:
        """Returns at once; `kept` is called, in another thread, once the sink has it."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="quarantine", daemon=True)
                self._thread.start()
            self._put(time.monotonic(), 0, exhibit, kept)

    def close(self) -> None:
        """Stop after the one being stored now; the rest stays in the broker."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def held(self) -> int:
        """How many wait for the sink."""
        return len(self._due)

    def _put(self, at: float, failures: int, exhibit: Exhibit, kept: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), failures, exhibit, kept))
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    wait_s = self._due[0][0] - time.monotonic() if self._due else None
                    self._changed.wait(wait_s)
                if self._closed:
                    return
                _, _, failures, exhibit, kept = heapq.heappop(self._due)
            try:
                sha256 = self._sink(
                    exhibit.raw,
                    queue=exhibit.queue,
                    reason=exhibit.reason,
                    headers=exhibit.headers,
                    size=exhibit.size,
                )
            except Exception as error:  # noqa: BLE001  # any error: the message is kept
                wait_s = min(self._wait_first_s * 2**failures, WAIT_MAX_S)
                fault = faults.describe(error)
                logger.error(
                    "quarantine failed; the message stays in the broker",
                    error=fault.kind,
                    where=fault.where,
                    again_in_s=wait_s,
                    **exhibit.description(),
                )
                with self._changed:
                    self._put(time.monotonic() + wait_s, failures + 1, exhibit, kept)
            else:
                logger.warning("message quarantined", **exhibit.description(), sha256=sha256)
                kept()
