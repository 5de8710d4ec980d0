"""Remote control: workers answer questions broadcast on the broker, and obey no orders.

Everyone who can write to the broker can ask, without a password. So a refused command is answered
with one line, a failure without a traceback, and no answer contains a password.
"""

import functools
from collections.abc import Callable
from typing import Any

from celery.worker.control import Panel

from service import log

logger = log.get(__name__)

# They drop payments (a revoked id is acknowledged and ignored for hours; `hello` and `election` do
# it indirectly), stop workers, or show arguments.
FORBIDDEN = frozenset(
    {
        "revoke",
        "revoke_by_stamped_headers",
        "terminate",
        "shutdown",
        "pool_grow",
        "pool_shrink",
        "pool_restart",
        "autoscale",
        "rate_limit",
        "time_limit",
        "add_consumer",
        "cancel_consumer",
        "election",
        "hello",
        "memdump",
        "memsample",
        "objgraph",
    }
)

Handler = Callable[..., Any]


class Commands(dict[str, Handler]):
    """The commands that are answered; any other is refused."""

    def __missing__(self, name: str) -> Handler:
        return functools.partial(_refuse, name)


def trim() -> None:
    """Keep only the read-only commands in this process, and make them safe."""
    Panel.data = Commands(
        {
            name: _careful(name, handler)
            for name, handler in Panel.data.items()
            if name not in FORBIDDEN
        }
    )
    for name in FORBIDDEN:
        Panel.meta.pop(name, None)


def _refuse(name: str, _state: Any, /, **_arguments: Any) -> dict[str, str]:
    known = name if name in FORBIDDEN else "this command"
    logger.info("control command refused", command=known)
    return {"error": f"{known} is refused: these workers take questions, and no orders"}


def _careful(name: str, handler: Handler) -> Handler:
    @functools.wraps(handler)
    def answer(state: Any, /, **arguments: Any) -> Any:
        try:
            return log.scrubbed(handler(state, **arguments))
        except Exception as error:  # noqa: BLE001  # any error: no money is involved
            logger.info("control command failed", command=name, error=type(error).__name__)
            return {"error": f"{name} failed: {type(error).__name__}"}

    return answer
