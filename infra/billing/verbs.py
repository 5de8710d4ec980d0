"""Makes a verb of `infra.billing` from the function that describes its calls: it sends them over
the configured transport, and waits."""

from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from infra.billing import client
from infra.billing.calls.bulk import Bulk
from infra.billing.calls.described import Call, ListCall, verb_of
from infra.billing.contract.objects import Resource
from infra.billing.errors import BillingError
from infra.billing.objects import Listing, Page
from infra.billing.transport import Transport

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Resource)


def verb(described: Callable[P, Call[T]]) -> Callable[P, T]:
    """A verb with one answer."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        return _answer(described(*args, **kwargs))

    return verb_of(described, ask)


def paged(described: Callable[P, ListCall[T]]) -> Callable[P, Page[T]]:
    """A verb that answers with a page of a list, which knows how to get the next."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> Page[T]:
        return page(described(*args, **kwargs))

    def page(part: ListCall[T]) -> Page[T]:
        return Page(_answer(part.call()), lambda cursor: page(part.after(cursor)))

    return verb_of(described, ask, Page)


def listed(described: Callable[P, ListCall[T]]) -> Callable[P, Listing[T]]:
    """The same for a list with a count."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> Listing[T]:
        return listing(described(*args, **kwargs))

    def listing(part: ListCall[T]) -> Listing[T]:
        return Listing(_answer(part.call()), lambda cursor: listing(part.after(cursor)))

    return verb_of(described, ask, Listing)


def many(described: Callable[P, Bulk[R]]) -> Callable[P, Iterator[R | BillingError]]:
    """A verb for many requests; it returns an iterator over the answers."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> Iterator[R | BillingError]:
        # Wrong arguments, and a wrong configuration, fail here, before the iteration.
        return answers(described(*args, **kwargs), client.transport())

    def answers(bulk: Bulk[R], transport: Transport) -> Iterator[R | BillingError]:
        while bulk.gather():
            to_send = bulk.to_send
            yield from bulk.answers(transport.create_batch(bulk.kind, to_send) if to_send else ())

    return verb_of(described, ask, _ManyAnswers)


def _answer(call: Call[T]) -> T:
    return call.read(client.transport().run(call.asked))


class _ManyAnswers:
    """The return type of `many`, for readers of signatures."""

    def __class_getitem__(cls, result: Any) -> Any:
        return Iterator[result | BillingError]
