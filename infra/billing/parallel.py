"""A batch done by a few threads side by side, with the answers in the order of the batch."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infra.billing.calls.silences import PARALLEL_MAX, Silences
from infra.billing.errors import BillingError

Fields = Mapping[str, Any]


def side_by_side(
    batch: Sequence[Fields], create: Callable[[Fields], dict[str, Any]]
) -> "list[dict[str, Any] | BillingError]":
    """What `create` returned or raised for each. One that fails stops none of the others."""
    silences = Silences()

    def one(fields: Fields) -> dict[str, Any] | BillingError:
        if refusal := silences.refusal(fields):
            return refusal
        answer: dict[str, Any] | BillingError
        try:
            answer = create(fields)
        except BillingError as error:
            answer = error
        silences.note(answer)
        return answer

    threads = ThreadPoolExecutor(min(PARALLEL_MAX, len(batch)) or 1, thread_name_prefix="billing")
    try:
        return list(threads.map(one, batch))
    finally:
        # When we are interrupted, what was not begun never is.
        threads.shutdown(wait=True, cancel_futures=True)
