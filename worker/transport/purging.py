"""`celery purge` is refused for our queues: it deletes requests that no worker has read.

What is in PostgreSQL would come again by itself. A request that was sent and not read yet exists
only in the queue, and its producer was told that it is accepted.
"""

import click

from service.broker.celery_config import DEAD, PAYMENTS, WEBHOOKS

OURS = frozenset({PAYMENTS, WEBHOOKS, DEAD})


class PurgeRefused(click.ClickException):
    """One of our queues must not be emptied. A click exception, as `celery purge` shows only their
    text."""


def refuse_purge(queue: str) -> None:
    """Raise PurgeRefused if the queue is one of ours."""
    if queue in OURS:
        raise PurgeRefused(
            f"the queue {queue} is not purged: it may hold requests that no worker has read yet,"
            " and nothing would tell their producers. Let a worker read it: what is no request goes"
            " into quarantine. (To delete it all the same, use the broker's own tools.)"
        )
