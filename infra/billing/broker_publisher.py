"""Where messages are handed in: a few links to the broker, shared by all threads of a process."""

import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from weakref import WeakSet

from infra.billing.broker_connections import ERRORS, TIMEOUT_MIN_S, Link, connect, reason
from infra.billing.brokers import Broker, parse
from infra.billing.message import Message

# Threads that send at the same time. A send takes a millisecond, so few links serve many threads,
# and a thousand threads don't become a thousand connections of the broker.
LINKS_MAX = 8


class Post:
    """Sends batches to a broker (see infra.billing.brokers), from any thread and after a fork.

    `name` is what the broker shows of its links.
    """

    def __init__(
        self, url: "str | Broker", *, timeout_s: float, name: str = "infra.billing"
    ) -> None:
        self._broker = parse(url) if isinstance(url, str) else url
        self._timeout_s = timeout_s
        self._name = name
        self._begin()
        _posts.add(self)

    def send(self, batch: Sequence[Message], *, ends_at: float | None = None) -> list[str | None]:
        """Hand in a batch. For each message None if the broker has it, else why not.

        Returns within the timeout, or by `ends_at` (of the monotonic clock), and raises nothing
        that has to do with the broker. A message that has a reason may have arrived all the same.
        """
        if ends_at is None:
            ends_at = time.monotonic() + self._timeout_s
        with self._place(ends_at) as has_place:
            if not has_place:
                return [self.no_place()] * len(batch)
            reasons: list[str | None] = ["no answer in time"] * len(batch)
            places = list(range(len(batch)))
            link = self._take()
            if link is not None:
                # Half of the time for each: a link that is dead but not closed costs one half, the
                # new one gets the other.
                half_at = time.monotonic() + (ends_at - time.monotonic()) / 2
                places = self._try(link, batch, places, reasons, half_at)
            # A link that was kept may have died meanwhile. Sending again is safe whatever became
            # of the first try: each message is one that may come twice.
            if places and time.monotonic() < ends_at:
                try:
                    link = connect(self._broker, timeout_s=_left(ends_at) / 2, name=self._name)
                except ERRORS as error:
                    for place in places:
                        reasons[place] = reason(error)
                else:
                    self._try(link, batch, places, reasons, ends_at)
            return reasons

    def no_place(self) -> str:
        """Why a batch was not sent whose turn did not come."""
        return f"no answer in time; all {LINKS_MAX} links are waiting for it"

    def where(self) -> str:
        """The broker, without its password."""
        return f"the broker {self._broker.place}"

    def close(self) -> None:
        """Let go of all links that nobody uses now."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().drop()

    def after_fork(self) -> None:
        """In the child: leave the parent's links alone, they are its conversations.

        They are kept, for to forget one would be to shut down the socket that both share.
        """
        _of_parents.append(self._idle)
        self._begin()

    def _begin(self) -> None:
        self._idle: queue.LifoQueue[Link] = queue.LifoQueue()
        self._places = threading.BoundedSemaphore(LINKS_MAX)

    def _try(
        self,
        link: Link,
        batch: Sequence[Message],
        places: Sequence[int],
        reasons: list[str | None],
        ends_at: float,
    ) -> list[int]:
        """Send what stands at `places`; returns the places for which a new link is worth a try."""
        try:
            receipt = link.send([batch[place] for place in places], timeout_s=_left(ends_at))
        except BaseException:
            link.drop()  # Interrupted half way: nobody can tell what was said on it.
            raise
        for place, why in zip(places, receipt.reasons, strict=True):
            reasons[place] = why
        if receipt.error is None:
            self._idle.put(link)
            return []
        link.drop()
        return [place for place in places if reasons[place] is not None]

    def _take(self) -> Link | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    @contextmanager
    def _place(self, ends_at: float) -> Iterator[bool]:
        places = self._places
        has_place = places.acquire(timeout=max(0.0, ends_at - time.monotonic()))
        try:
            yield has_place
        finally:
            if has_place:
                places.release()


def _left(ends_at: float) -> float:
    return max(TIMEOUT_MIN_S, ends_at - time.monotonic())


_posts: WeakSet[Post] = WeakSet()
_of_parents: list[object] = []


def _after_fork() -> None:
    for post in list(_posts):
        post.after_fork()


os.register_at_fork(after_in_child=_after_fork)
