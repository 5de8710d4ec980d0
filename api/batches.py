"""Many requests, one round trip: everything that waits is sent to the database together, or
refused."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from api.database import DEADLINE_S
from api.edge.problems import DatabaseUnavailable, Held, TooManyRequests
from service.database.loop_commit import LoopCommitter, Patience

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# At 64 in a few milliseconds these are half a second of work: behind more a request would wait for
# longer than DEADLINE_S on a bad day, and each keeps its body in memory.
WAITING_MAX = 4_000


class Batches(LoopCommitter[Item, Answer]):
    """A committer for requests, with limits on their time and number.

    Raises TooManyRequests if too many wait, and DatabaseUnavailable for one whose turn doesn't come
    in time. If the database is away, a batch isn't split up, as that affects all of it.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        waiting_max: int = WAITING_MAX,
        deadline_s: float = DEADLINE_S,
        **rules: Any,
    ) -> None:
        super().__init__(
            run,
            patience=Patience(waiting_max, TooManyRequests, deadline_s, DatabaseUnavailable),
            is_hopeless=lambda failure: isinstance(failure, DatabaseUnavailable),
            is_held_up=lambda failure: isinstance(failure, Held),
            **rules,
        )
