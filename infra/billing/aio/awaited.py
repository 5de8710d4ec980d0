"""Makes an async verb from a verb of `infra.billing`: both use the same description of its
calls."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from infra.billing.aio.async_objects import AsyncListing, AsyncPage
from infra.billing.aio.async_transport import AsyncTransport
from infra.billing.calls.bulk import Bulk
from infra.billing.calls.described import Call, ListCall, description_of, verb_of
from infra.billing.contract.objects import Resource
from infra.billing.errors import BillingError
from infra.billing.objects import Listing, Page

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Resource)


class Asks(Protocol):
    """An object with verbs: a client, or one of its nouns."""

    def transport(self) -> AsyncTransport: ...


S = TypeVar("S", bound=Asks)
Awaited = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]


def awaited(verb: Callable[P, T]) -> "Awaited[S, P, T]":
    """A verb with one answer."""
    described = description_of(verb)

    async def ask(noun: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Call[T] = described(*args, **kwargs)
        return await _answer(noun, call)

    return verb_of(described, ask, is_method=True)


def paged(verb: Callable[P, Page[T]]) -> "Awaited[S, P, AsyncPage[T]]":
    """A verb that answers with a page of a list, which knows how to get the next."""
    described = description_of(verb)

    async def ask(noun: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncPage[T]:
        return await page(noun, described(*args, **kwargs))

    async def page(noun: S, part: ListCall[T]) -> AsyncPage[T]:
        fields = await _answer(noun, part.call())
        return AsyncPage(fields, lambda cursor: page(noun, part.after(cursor)))

    return verb_of(described, ask, AsyncPage, is_method=True)


def listed(verb: Callable[P, Listing[T]]) -> "Awaited[S, P, AsyncListing[T]]":
    """The same for a list with a count."""
    described = description_of(verb)

    async def ask(noun: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncListing[T]:
        return await listing(noun, described(*args, **kwargs))

    async def listing(noun: S, part: ListCall[T]) -> AsyncListing[T]:
        fields = await _answer(noun, part.call())
        return AsyncListing(fields, lambda cursor: listing(noun, part.after(cursor)))

    return verb_of(described, ask, AsyncListing, is_method=True)


def many(
    verb: Callable[P, Iterator[R | BillingError]],
) -> "Callable[Concatenate[S, P], AsyncIterator[R | BillingError]]":
    """A verb for many requests; it returns an iterator for `async for`."""
    described = description_of(verb)

    def ask(noun: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R | BillingError]:
        # Wrong arguments, and a wrong configuration, fail here, before the iteration.
        return answers(described(*args, **kwargs), noun.transport())

    async def answers(bulk: Bulk[R], transport: AsyncTransport) -> AsyncIterator[R | BillingError]:
        while bulk.gather():
            to_send = bulk.to_send
            answered = await transport.create_batch(bulk.kind, to_send) if to_send else ()
            for answer in bulk.answers(answered):
                yield answer

    return verb_of(described, ask, _ManyAnswers, is_method=True)


async def _answer(noun: Asks, call: Call[T]) -> T:
    return call.read(await noun.transport().run(call.asked))


class _ManyAnswers:
    """The return type of `many`, for readers of signatures."""

    def __class_getitem__(cls, result: Any) -> Any:
        return AsyncIterator[result | BillingError]
