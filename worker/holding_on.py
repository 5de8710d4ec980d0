"""Keeping a message that must not go back to the broker until it is stored, and returning one that
may."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery.exceptions import Reject

from service import log
from service.database.retrying import DatabaseUnavailable, is_held_up

logger = log.get("worker.task_handlers")


@contextmanager
def given_back_while_held(pause_s: float) -> Iterator[None]:
    """Return the message to the broker if a row that it needs is locked: the task has not failed,
    and the message comes again after a pause."""
    try:
        yield
    except Exception as error:
        if not is_held_up(error):
            raise
        time.sleep(pause_s)
        raise Reject("somebody holds the row", requeue=True) from None


def until_done(keep: Callable[[], None], *, stopping: threading.Event, pause_s: float) -> None:
    """Store a message that RabbitMQ has given up, retrying until that succeeds: if it were returned
    once more, it might be dropped (from 4.0 on the broker's own limit is 20 deliveries).

    Raises DatabaseUnavailable, and Reject if the process stops first.
    """
    while True:
        try:
            return keep()
        except DatabaseUnavailable:
            raise
        except Exception:  # noqa: BLE001  # any error: the message must survive it
            if stopping.wait(pause_s):
                raise Reject("neither executed nor kept", requeue=True) from None
            logger.warning("a request that was given up is not kept yet")
