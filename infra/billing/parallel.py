"""A batch done by a few threads side by side, with the answers in the order of the batch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.billing.arguments import key_of
from infra.billing.errors import BillingError, Unavailable

# Each has a connection of its own. More would move the queue from here to the service.
LANES = 8
# So many in a row that nobody answered, and the rest of the batch is not tried: each would take
# its whole timeout, and a service that is down would cost hours.
SILENCES_MAX = 2 * LANES

Fields = Mapping[str, Any]


def side_by_side(
    batch: Sequence[Fields], create: Callable[[Fields], dict[str, Any]]
) -> "list[dict[str, Any] | BillingError]":
    """What `create` returned or raised for each. One that fails stops none of the others."""
    luck = _Luck()

    def one(fields: Fields) -> dict[str, Any] | BillingError:
        if luck.has_left:
            return Unavailable(
                "not sent: the service answered none of the requests before it",
                idempotency_key=key_of(fields),
            )
        try:
            created = create(fields)
        except BillingError as error:
            if error.was_sent:
                luck.note(is_silent=error.is_silence)
            return error
        luck.note(is_silent=False)
        return created

    lanes = ThreadPoolExecutor(min(LANES, len(batch)) or 1, thread_name_prefix="billing")
    try:
        return list(lanes.map(one, batch))
    finally:
        # When we are interrupted, what was not begun never is.
        lanes.shutdown(wait=True, cancel_futures=True)


class _Luck:
    """How many requests in a row nobody answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silences = 0

    @property
    def has_left(self) -> bool:
        return self._silences >= SILENCES_MAX

    def note(self, *, is_silent: bool) -> None:
        with self._lock:
            self._silences = self._silences + 1 if is_silent else 0
