"""Holding on to a message that must not go back to the broker until it is kept, and giving it back
when it may."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery.exceptions import Reject

from service import log
from service.database.retrying import DatabaseUnavailable, is_held_up

logger = log.get("worker.handlers")


@contextmanager
def given_back_while_held(pause_s: float) -> Iterator[None]:
    """Give the message back to the broker when somebody holds a row that it needs: that is no
    failure of the task, and it comes again after a pause."""
    try:
        yield
    except Exception as error:
        if not is_held_up(error):
            raise
        time.sleep(pause_s)
        raise Reject("somebody holds the row", requeue=True) from None


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
