"""Counts unanswered requests in a row, to stop early: each would take its whole timeout, and a
service that is down would cost hours."""

import threading
from collections.abc import Mapping
from typing import Any

from infra.billing.arguments import key_of
from infra.billing.errors import BillingError, Unavailable

# How many requests of a batch run in parallel, each on its own connection. More would only move the
# queue from here to the service.
PARALLEL_MAX = 8
SILENCES_MAX = 2 * PARALLEL_MAX


class Silences:
    """The unanswered requests of one batch over HTTP. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row = 0

    def refusal(self, fields: Mapping[str, Any]) -> Unavailable | None:
        """Why a request is not sent any more; None if it should be tried."""
        if self._in_a_row < SILENCES_MAX:
            return None
        return Unavailable(
            "not sent: the service answered none of the requests before it",
            idempotency_key=key_of(fields),
        )

    def note(self, answer: object) -> None:
        """Record the result of a request."""
        error = answer if isinstance(answer, BillingError) else None
        if error is not None and not error.was_sent:
            return  # it doesn't show whether the service is up
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if error is not None and error.is_silence else 0
