"""Which worker reads which queue, asked of the workers themselves."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery

from service import log
from service.broker import connections

# One answer is enough to know that a queue is read.
TIMEOUT_S = 1.0
LINE_MAX = 300


@dataclass(frozen=True, slots=True)
class Readers:
    """Queue → names of the workers that read it. `trouble` says why they could not be asked.

    A missing queue has no reader that answered in time: a worker that is still starting, or was
    stopped, does not answer.
    """

    queues: Mapping[str, list[str]]
    trouble: str | None = None

    def lacking(self, wanted: Collection[str]) -> list[str]:
        """Those of the wanted queues without a reader."""
        return [queue for queue in wanted if not self.queues.get(queue)]


class _Enough(Exception):
    """Everything wanted is known."""


def queues_read(
    app: Celery, *, timeout_s: float = TIMEOUT_S, wanted: Collection[str] = ()
) -> Readers:
    """Ask all workers on the broker; waits `timeout_s` for answers, in addition to connecting.

    With `wanted`, it returns as soon as each of these queues has a reader, and may not know the
    others. Never raises: if the broker is away, `trouble` says so.
    """
    found: dict[str, list[str]] = {}
    ends_at = time.monotonic() + timeout_s

    def hear(reply: Mapping[str, Any]) -> None:
        for worker, queues in reply.items():
            # A foreign worker on this broker may answer anything.
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
    except Exception as error:  # noqa: BLE001  # a broken connection may raise any error
        return Readers(found, trouble=reason(error))
    return Readers({queue: sorted(workers) for queue, workers in found.items()})


def reason(error: Exception) -> str:
    """The broker client's error, in a line without secrets."""
    said = log.scrub(" ".join(str(error).split()))[:LINE_MAX]
    return said or type(error).__name__
