"""Wake-ups for the workers: best-effort, quick to give up, never blocking.

A lost wake-up costs a second: what is due is in a row, and the sweep wakes it again.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Any

from celery import Celery

from infra.billing.broker_publisher import Post
from infra.billing.contract.messages.message import Message, call
from infra.billing.contract.messages.task_names import DRAIN, SUBMIT
from payments.transaction import Wakes
from service import log
from service.broker import connections
from service.broker.celery_config import PAYMENTS, WEBHOOKS
from service.broker.connections import Gauge
from service.broker.task_redaction import kwargs_text

logger = log.get(__name__)

# How long all wake-ups of one transaction may take together; then the caller continues.
PUBLISH_S = 2.0
# After a failed publish, nothing is published for this long: a broker that is down would cost every
# wake-up its whole timeout.
BROKER_DOWN_S = 1.0
# After a wake-up, what comes within this time is one batch: under load there would be one per
# transaction, each with its own round trip. The first one never waits.
MERGE_S = 0.02
# If an event goes to more endpoints than this, no wake-ups are added to a queue that is longer than
# that: more would come each second than all workers can handle.
FEW, CALLS_MAX = 20, 200
# Endpoints per message: few enough that several processes share the work.
TOLD_TOGETHER = 32


class Publisher:
    """Publishes wake-ups, one message each and all of them in one round trip."""

    def __init__(self, app: Celery) -> None:
        self._gauge = Gauge(app)
        # The SDK's publisher, and not Celery's: `apply_async` costs ten times the work, and with
        # RabbitMQ a round trip per message. The messages are the same:
        # tests/integration/test_post.py.
        self._post = Post(connections.broker(app), timeout_s=PUBLISH_S, name="billing")
        self._down_until = 0.0

    def __call__(self, wakes: Wakes) -> None:
        """Publish what `wakes` has. Never raises; gives up after PUBLISH_S."""
        if time.monotonic() < self._down_until:
            return
        endpoints = wakes.endpoints
        if len(endpoints) > FEW and not self.room(WEBHOOKS, CALLS_MAX):
            endpoints = set()  # the sweep wakes them when workers have time
        batch = [
            *(_call(SUBMIT["charge"], PAYMENTS, id=id_) for id_ in wakes.charges),
            *(_call(SUBMIT["refund"], PAYMENTS, id=id_) for id_ in wakes.refunds),
            *_drains(endpoints),
        ]
        try:
            lost = [reason for reason in self._post.send(batch) if reason is not None]
        # Not only errors of the connection: kombu may raise any error on a broken connection, and
        # one raised here would end the waking thread.
        except Exception as e:  # noqa: BLE001
            lost = [type(e).__name__] * len(batch)
        if lost:
            self._down_until = time.monotonic() + BROKER_DOWN_S
            logger.warning(
                "broker unavailable; the sweep will wake them", error=lost[0], not_woken=len(lost)
            )

    def close(self) -> None:
        """Close the connections to the broker."""
        self._post.close()
        self._gauge.close()

    def room(self, queue: str, limit: int) -> int:
        """How many messages `queue` is short of `limit`; 0 if the broker can't be asked.

        The sweep adds no more than that: rows that already wait behind a long queue gain nothing
        from a second message, and after a broker was emptied there is room for all.
        """
        try:
            waiting = self._gauge.depth(queue)
        except Exception as e:  # noqa: BLE001  # as above: the next second asks again
            logger.warning("broker unavailable; nobody is woken", error=type(e).__name__)
            return 0
        return max(0, limit - waiting)


def _drains(endpoints: Collection[str]) -> Iterator[Message]:
    """Several endpoints per message, as handling a message costs more than starting a drain."""
    if len(endpoints) == 1:
        (endpoint_id,) = endpoints
        yield _call(DRAIN, WEBHOOKS, endpoint_id=endpoint_id)
        return
    left = iter(endpoints)
    while some := list(islice(left, TOLD_TOGETHER)):
        yield _call(DRAIN, WEBHOOKS, endpoint_ids=some)


def _call(task: str, queue: str, **kwargs: Any) -> Message:
    return call(task, kwargs, queue=queue, kwargsrepr=kwargs_text(kwargs))


class Waker:
    """Publishes from its own thread, so that no charge waits for the broker.

    What comes while it publishes is merged: a thousand events for one endpoint become one wake-up.
    """

    def __init__(self, publish: Callable[[Wakes], None]) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._pending = Wakes()
        self._something = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="waker", daemon=True)
        self._thread.start()

    def __call__(self, wakes: Wakes) -> None:
        with self._lock:
            self._pending.endpoints |= wakes.endpoints
            self._pending.charges |= wakes.charges
            self._pending.refunds |= wakes.refunds
        self._something.set()

    def close(self, timeout_s: float = 3.0) -> None:
        """Publish what is left, and end."""
        self._stopping = True
        self._something.set()
        self._thread.join(timeout_s)

    def _loop(self) -> None:
        while True:
            if not self._stopping:
                self._something.wait()
            self._something.clear()
            with self._lock:
                wakes, self._pending = self._pending, Wakes()
            if wakes:
                self._publish(wakes)
                time.sleep(MERGE_S)
            elif self._stopping:
                return
