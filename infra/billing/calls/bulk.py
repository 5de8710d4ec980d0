"""Many requests, one after the other in batches, with an answer for each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from infra.billing import arguments
from infra.billing.contract.ids import Kind
from infra.billing.contract.objects import Resource
from infra.billing.errors import BillingError, InvalidRequest, Unavailable

# Half a megabyte of messages: one round trip of a few milliseconds, and nothing in memory.
BATCH = 500
# With all the metadata they may have, these are 40 MB. More than that in one command blocks the
# broker for its other users.
BATCH_MAX = 1000
# After this many unanswered batches in a row the rest is not sent: each would take its own
# timeouts, and a service that is down would cost hours.
SILENT_MAX = 3

# Called after each batch with the number of answers, and of errors among them.
Progress = Callable[[int, int], None]
R = TypeVar("R", bound=Resource)
Answers = Sequence[dict[str, Any] | BillingError]


class Bulk(Generic[R]):
    """Requests that are read a batch at a time: `gather`, send what is `to_send`, `answers`.

    Raises InvalidRequest at once for wrong arguments of the call itself.
    """

    def __init__(
        self,
        kind: Kind,
        requests: Iterable[Mapping[str, Any]],
        *,
        result: type[R],
        batch: object,
        progress: Progress | None,
    ) -> None:
        if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= BATCH_MAX:
            raise InvalidRequest(
                f"batch must be a whole number from 1 to {BATCH_MAX}", param="batch"
            )
        self.kind = kind
        self._keyed = map(_keyed, requests)
        self._result = result
        self._batch = batch
        self._progress = progress
        self._gathered: Answers = ()
        self._done = self._refused = self._silent = 0

    def gather(self) -> bool:
        """Read the next batch; returns whether there is one."""
        self._gathered = list(islice(self._keyed, self._batch))
        return bool(self._gathered)

    @property
    def to_send(self) -> Sequence[dict[str, Any]]:
        """The requests of the batch that should be sent."""
        return self._good if self._silent < SILENT_MAX else ()

    def answers(self, answered: Answers) -> list[R | BillingError]:
        """One for each of the batch, in order. `answered`: the answers to what was sent."""
        if self._silent >= SILENT_MAX:
            answered = _not_sent(self._good)
        # Invalid ones, which were not sent, don't show whether the service is up.
        if sent := [one for one in answered if not isinstance(one, BillingError) or one.was_sent]:
            self._silent = self._silent + 1 if all(map(_is_silence, sent)) else 0
        following = iter(answered)
        each = [one if isinstance(one, BillingError) else next(following) for one in self._gathered]
        self._done += len(each)
        self._refused += sum(isinstance(one, BillingError) for one in each)
        if self._progress is not None:
            self._progress(self._done, self._refused)
        return [one if isinstance(one, BillingError) else self._result(one) for one in each]

    @property
    def _good(self) -> list[dict[str, Any]]:
        return [one for one in self._gathered if not isinstance(one, BillingError)]


def _not_sent(good: Sequence[Mapping[str, Any]]) -> Sequence[Unavailable]:
    reason = "not sent: nobody answered any of the requests before it"
    return [Unavailable(reason, idempotency_key=arguments.key_of(one)) for one in good]


def _is_silence(answer: object) -> bool:
    return isinstance(answer, BillingError) and answer.is_silence


def _keyed(request: object) -> dict[str, Any] | BillingError:
    """The fields of a request, with a key; or the error in them."""
    if not isinstance(request, Mapping):
        return InvalidRequest("each request must be a mapping of its fields")
    return {**request, "idempotency_key": arguments.key(request.get("idempotency_key"))}
