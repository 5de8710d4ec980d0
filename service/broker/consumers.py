"""Who reads which queue, asked of the workers themselves."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery

from service import log
from service.broker import connections

# One answer is as good as a hundred for whoever only wants to know that somebody reads.
TIMEOUT_S = 1.0
LINE_MAX = 300


@dataclass(frozen=True, slots=True)
class Readers:
    """Queue → names of the workers that read it. `trouble` says why nobody could be asked.

    A queue that is not there has no reader that answered in time: a worker that is busy with its
    own start, or was stopped, says nothing.
    """

    queues: Mapping[str, list[str]]
    trouble: str | None = None

    def lacking(self, wanted: Collection[str]) -> list[str]:
        """Those of the wanted queues that nobody reads."""
        return [queue for queue in wanted if not self.queues.get(queue)]


class _Enough(Exception):
    """All that was wanted is known."""


def queues_read(
    app: Celery, *, timeout_s: float = TIMEOUT_S, wanted: Collection[str] = ()
) -> Readers:
    """Ask all workers on the broker; waits `timeout_s` for answers, besides the connection.

    With `wanted`, as soon as each of these queues has a reader it returns, and may not know the
    others. Never raises: a broker that is away is `trouble`.
    """
    found: dict[str, list[str]] = {}
    ends_at = time.monotonic() + timeout_s

    def hear(reply: Mapping[str, Any]) -> None:
        for worker, queues in reply.items():
            # A worker of somebody else's on this broker may answer anything.
            for queue in queues if isinstance(queues, list) else ():
                if isinstance(queue, dict):
                    found.setdefault(str(queue.get("name")), []).append(worker)
        if (wanted and all(queue in found for queue in wanted)) or time.monotonic() > ends_at:
            raise _Enough

    try:
        with connections.link(app) as link:
            app.control.broadcast(
                "active_queues", reply=True, timeout=timeout_s, callback=hear, connection=link
            )
    except _Enough:
        pass
    except Exception as error:  # noqa: BLE001  # a link that breaks breaks with any error
        return Readers(found, trouble=reason(error))
    return Readers({queue: sorted(workers) for queue, workers in found.items()})


def reason(error: Exception) -> str:
    """What the broker's client said, in a line without secrets."""
    said = log.scrub(" ".join(str(error).split()))[:LINE_MAX]
    return said or type(error).__name__
