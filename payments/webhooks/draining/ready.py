"""What a drainer has claimed and not begun: new deliveries first, then replays."""

from collections import deque
from collections.abc import Iterable, Iterator

from payments.webhooks.draining.drains import Due


class Ready:
    """Deliveries in the order in which they are to be posted.

    Replays are posted when nothing else is ready, and in at most half of the window: so new events
    find a place at once, however many replays wait and however slow they are.
    """

    def __init__(self) -> None:
        self._fresh: deque[Due] = deque()
        self._replays: deque[Due] = deque()
        self._replays_under_way = 0
        self.places = 1  # posts that may be under way, replays or not

    def extend(self, dues: Iterable[Due]) -> None:
        for due in dues:
            (self._replays if due.is_replay else self._fresh).append(due)

    def __len__(self) -> int:
        """How many may be begun, going by what is ready."""
        return len(self._fresh) + max(0, min(len(self._replays), self._replays_left))

    def popleft(self) -> Due:
        """The next delivery; call it only if there is one (`len`)."""
        if self._fresh:
            return self._fresh.popleft()
        self._replays_under_way += 1
        return self._replays.popleft()

    def is_answered(self, due: Due) -> None:
        """A post of a popped delivery has ended."""
        if due.is_replay:
            self._replays_under_way -= 1

    def __iter__(self) -> Iterator[Due]:
        yield from self._fresh
        yield from self._replays

    def clear(self) -> None:
        self._fresh.clear()
        self._replays.clear()

    @property
    def fresh(self) -> int:
        """How many of them are not replays."""
        return len(self._fresh)

    def replays_wanted(self, ahead: int) -> int:
        """How many replays to claim, so that the window has `ahead` more than it may begin."""
        return max(0, ahead + self._replays_left - len(self._replays))

    @property
    def _replays_left(self) -> int:
        return max(1, self.places // 2) - self._replays_under_way
