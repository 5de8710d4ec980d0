"""The two clients of the SDK under the same tests: `infra.billing`, and `infra.billing.aio`.

A module that has `usefixtures("both")` runs each of its tests over both: for the second, its
`billing` is one whose verbs are those of the async client, each waited for. What is about threads,
or reaches into the sync client, is marked `threads_only`.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infra import billing
from infra.billing.aio import AsyncListing, AsyncPage, Billing
from infra.billing.aio.nouns import Noun

CLIENTS = ("threads", "async")
threads_only = pytest.mark.parametrize("both", ["threads"], indirect=True)


class Awaiting:
    """As `infra.billing` to a test. Its event loop runs in a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._client: Billing | None = None

    def configure(self, **options: Any) -> None:
        client = Billing(**options)
        self.close()
        self._client = client

    @contextmanager
    def unconfigured(self) -> Iterator[None]:
        """Until the end of the `with`, as it is when nobody has configured it."""
        former, self._client = self._client, None
        try:
            yield
        finally:
            self.close()
            self._client = former

    def close(self) -> None:
        if self._client is not None:
            self.waited(self._client.close())

    def waited(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def search(self, *args: Any, **options: Any) -> Any:
        return self._plain(self._of("search")(*args, **options))

    def __getattr__(self, name: str) -> Any:
        if inspect.ismodule(found := getattr(billing, name)) and name not in ("errors", "webhook"):
            return _Noun(lambda verb: self._verb(name, verb))
        return found

    def _of(self, name: str) -> Any:
        if self._client is None:
            self._client = Billing()
        return getattr(self._client, name)

    def _verb(self, noun: str, name: str) -> Callable[..., Any]:
        of = self._of(noun)
        assert isinstance(of, Noun)
        verb = getattr(of, name)
        return lambda *args, **options: self._plain(verb(*args, **options))

    def _plain(self, answer: Any) -> Any:
        """What the sync client would have returned."""
        if inspect.iscoroutine(answer):
            return self._plain(self.waited(answer))
        if isinstance(answer, AsyncIterator):
            return self._iterated(answer)
        if isinstance(answer, AsyncPage | AsyncListing):
            kind = billing.Page if isinstance(answer, AsyncPage) else billing.Listing
            return kind(answer, lambda _: self._plain(answer.following()))
        return answer

    def _iterated(self, answers: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(answers, _END)

        while (one := self.waited(following())) is not _END:
            yield one


class _Noun:
    def __init__(self, verb: Callable[[str], Callable[..., Any]]) -> None:
        self._verb = verb

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._verb(name)


_END = object()


@contextmanager
def awaiting() -> Iterator[Awaiting]:
    """An `Awaiting`, until the end of the `with`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="awaiting", daemon=True)
    thread.start()
    made = Awaiting(loop)
    try:
        yield made
    finally:
        made.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
