"""Many requests, one after the other in batches, with an answer for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from infra.billing import arguments, client
from infra.billing.contract.ids import Kind
from infra.billing.contract.objects import Resource
from infra.billing.errors import BillingError, InvalidRequest, Unavailable
from infra.billing.transport import Transport

# Half a megabyte of messages: one round trip of a few milliseconds, and nothing in memory.
BATCH = 500
# With all the metadata they may have, these are 40 MB. More than that in one command holds up
# everybody else who uses the broker.
BATCH_MAX = 1000
# So many batches in a row that nobody answered, and the rest is not sent: each would take timeouts
# of its own, and a service that is down would cost hours.
SILENT_MAX = 3

# Called after each batch with how many have an answer, and how many of those are errors.
Progress = Callable[[int, int], None]
R = TypeVar("R", bound=Resource)


def create_many(
    kind: Kind,
    requests: Iterable[Mapping[str, Any]],
    *,
    result: type[R],
    batch: object,
    progress: Progress | None,
) -> Iterator[R | BillingError]:
    """An iterator over the answers. Wrong arguments of the call itself fail here, at once."""
    if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= BATCH_MAX:
        raise InvalidRequest(f"batch must be a whole number from 1 to {BATCH_MAX}", param="batch")
    return _answers(client.transport(), kind, map(_keyed, requests), result, batch, progress)


def _answers(
    transport: Transport,
    kind: Kind,
    keyed: Iterator[dict[str, Any] | BillingError],
    result: type[R],
    batch: int,
    progress: Progress | None,
) -> Iterator[R | BillingError]:
    done = refused = silent = 0
    while gathered := list(islice(keyed, batch)):
        good = [one for one in gathered if not isinstance(one, BillingError)]
        answered = _send(transport, kind, good) if silent < SILENT_MAX else _not_sent(good)
        # Wrong ones, which were not sent, say nothing about who is there.
        if sent := [one for one in answered if not isinstance(one, BillingError) or one.was_sent]:
            silent = silent + 1 if all(map(_is_silence, sent)) else 0
        answers = iter(answered)
        told = [one if isinstance(one, BillingError) else next(answers) for one in gathered]
        done += len(told)
        refused += sum(isinstance(one, BillingError) for one in told)
        if progress is not None:
            progress(done, refused)
        for answer in told:
            yield answer if isinstance(answer, BillingError) else result(answer)


def _send(
    transport: Transport, kind: Kind, good: Sequence[dict[str, Any]]
) -> Sequence[dict[str, Any] | BillingError]:
    return transport.create_batch(kind, good) if good else ()


def _not_sent(good: Sequence[Mapping[str, Any]]) -> Sequence[Unavailable]:
    reason = "not sent: nobody answered any of the requests before it"
    return [Unavailable(reason, idempotency_key=arguments.key_of(one)) for one in good]


def _is_silence(answer: object) -> bool:
    return isinstance(answer, BillingError) and answer.is_silence


def _keyed(request: object) -> dict[str, Any] | BillingError:
    """The fields of a request, with a key; or why they are none."""
    if not isinstance(request, Mapping):
        return InvalidRequest("each request must be a mapping of its fields")
    return {**request, "idempotency_key": arguments.key(request.get("idempotency_key"))}
