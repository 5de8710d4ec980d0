"""Holding on to a message that must not go back to the broker until it is kept."""

import threading
from collections.abc import Callable

from celery.exceptions import Reject

from service import log
from service.database.retrying import DatabaseUnavailable

logger = log.get("worker.handlers")


def until_done(keep: Callable[[], None], *, stopping: threading.Event, pause_s: float) -> None:
    """Do what keeps a message that RabbitMQ has given up, again and again until that is done: given
    back once more, it may be dropped (from 4.0 on the broker's own limit is 20 deliveries).

    Raises DatabaseUnavailable, and Reject when the process stops first.
    """
    while True:
        try:
            return keep()
        except DatabaseUnavailable:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, the message must survive it
            if stopping.wait(pause_s):
                raise Reject("neither executed nor kept", requeue=True) from None
            logger.warning("a request that was given up is not kept yet")
