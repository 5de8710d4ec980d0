"""The interface of a book: what an inbox must remember, wherever that is stored."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

# The position in the feed up to which everything was read; and the number of the endpoint's
# webhooks up to which none is missed.
Mark = Literal["position", "whole_to"]


class Book(Protocol):
    """Every change belongs to the transaction that is open, and is undone with it.

    A *number* is the header `webhook-sequence`: it counts the webhooks of one endpoint. Moments are
    whole Unix seconds.
    """

    def set_up(self) -> None:
        """Create the tables if they are missing."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commits what happens inside, or undoes it when that raises."""
        ...

    def require_transaction(self) -> None:
        """Raise InvalidRequest if each statement would be committed by itself."""

    def remember(self, event_id: str, number: int | None, now: int) -> bool:
        """Whether the event is new; it is remembered from now on. Waits for another transaction
        that is remembering it."""
        ...

    def knows(self, event_id: str) -> bool: ...

    def advance(self, object_id: str, sequence: int, now: int) -> bool:
        """Whether no newer event of the object was seen; then `sequence` is the newest."""
        ...

    def number_before(self, number: int) -> int | None:
        """The highest number below this one that has come."""
        ...

    def highest_number(self, *, seen_by: int) -> int | None:
        """The highest number that had come by this moment."""
        ...

    def gaps(self, *, seen_by: int) -> Sequence[range]:
        """The numbers that have not arrived, though a later one had by the moment `seen_by`."""
        ...

    def mark(self, name: Mark) -> int | None: ...

    def set_mark(self, name: Mark, value: int) -> None: ...

    def forget(self, before: int) -> int:
        """Forget what was seen before this moment; returns how many events."""
        ...


def gaps_of(
    numbers: Iterable[tuple[int | None, int, int]], *, whole_to: int | None, seen_by: int
) -> list[range]:
    """The gaps between numbers, each given with the one before it and the moment when it came.

    What is before the first number of all is not missed, unless a mark says where to begin.
    """
    found = []
    for before, number, seen_at in numbers:
        last = whole_to if before is None else before
        if last is not None and number > last + 1 and seen_at <= seen_by:
            found.append(range(last + 1, number))
    return found
