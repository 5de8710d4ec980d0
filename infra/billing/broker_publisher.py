"""Publishing messages: a few connections to the broker, shared by all threads of a process."""

import os
import threading
import time
from collections.abc import Sequence
from weakref import WeakSet

from infra.billing.broker_connections import ERRORS, TIMEOUT_MIN_S, Link, Receipt, connect, reason
from infra.billing.brokers import Broker, parse
from infra.billing.contract.messages.message import Message

# How many threads send at the same time. A send takes a millisecond, so few connections serve many
# threads, and a thousand threads don't become a thousand connections.
LINKS_MAX = 8


class Post:
    """Sends batches to a broker (see infra.billing.brokers), from any thread and after a fork.

    `name` is how the broker shows its connections.
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
        """Send a batch. Returns for each message None if the broker has it, else why not.

        Returns within the timeout, or by `ends_at` (of the monotonic clock), and raises no errors
        of the broker. A message with a reason may have arrived all the same.
        """
        if not batch:
            return []
        if ends_at is None:
            ends_at = time.monotonic() + self._timeout_s
        places = self._places
        if not places.acquire(timeout=max(0.0, ends_at - time.monotonic())):
            return [self.no_place()] * len(batch)
        try:
            return self._sent(batch, ends_at)
        finally:
            places.release()

    def no_place(self) -> str:
        """Why a batch was not sent if its turn did not come in time."""
        return f"no answer in time; all {LINKS_MAX} links are waiting for it"

    def where(self) -> str:
        """The broker, without its password."""
        return f"the broker {self._broker.place}"

    def close(self) -> None:
        """Close all idle connections."""
        while (link := self._take()) is not None:
            link.drop()

    def after_fork(self) -> None:
        """In the child: leave the parent's connections alone.

        They are kept, as dropping one would shut down the socket that both processes share.
        """
        _of_parents.append(self._idle)
        self._begin()

    def _begin(self) -> None:
        # A stack. Adding and taking are atomic for every thread.
        self._idle: list[Link] = []
        self._places = threading.BoundedSemaphore(LINKS_MAX)

    def _sent(self, batch: Sequence[Message], ends_at: float) -> list[str | None]:
        link = self._take()
        if link is None:
            return self._sent_anew(batch, ends_at)
        # Half of the time for each: a connection that is dead but not closed costs one half, a new
        # one gets the other.
        now = time.monotonic()
        receipt = self._on(link, batch, now + (ends_at - now) / 2)
        reasons = receipt.reasons
        # It may have died in the pool. Sending again is safe whatever happened to the first try:
        # each message may come twice.
        if receipt.error is not None and time.monotonic() < ends_at:
            places = [place for place, why in enumerate(reasons) if why is not None]
            again = self._sent_anew([batch[place] for place in places], ends_at) if places else ()
            for place, why in zip(places, again, strict=True):
                reasons[place] = why
        return reasons

    def _sent_anew(self, batch: Sequence[Message], ends_at: float) -> list[str | None]:
        """The same on a new connection."""
        if time.monotonic() >= ends_at:
            return ["no answer in time"] * len(batch)
        try:
            link = connect(self._broker, timeout_s=_left(ends_at) / 2, name=self._name)
        except ERRORS as error:
            return [reason(error)] * len(batch)
        return self._on(link, batch, ends_at).reasons

    def _on(self, link: Link, batch: Sequence[Message], ends_at: float) -> Receipt:
        """The result of a batch on this connection, which is kept if it still works."""
        try:
            receipt = link.send(batch, timeout_s=_left(ends_at))
        except BaseException:
            link.drop()  # Interrupted half-way: its state is unknown.
            raise
        if receipt.error is None:
            self._idle.append(link)
        else:
            link.drop()
        return receipt

    def _take(self) -> Link | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _left(ends_at: float) -> float:
    return max(TIMEOUT_MIN_S, ends_at - time.monotonic())


_posts: WeakSet[Post] = WeakSet()
_of_parents: list[object] = []


def _after_fork() -> None:
    for post in list(_posts):
        post.after_fork()


os.register_at_fork(after_in_child=_after_fork)
