"""A book in a dict, or any other mutable mapping."""

import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from infra.billing.errors import InvalidRequest
from infra.billing.receiving.book import Mark, gaps_of

_ABSENT = object()


class MappingBook:
    """For tests, and for receivers that are one process. What is kept are texts and whole numbers:

    `event:ID` → [number or None, moment] · `object:ID` → [sequence, moment] · `mark:NAME` → number.

    One event is handled at a time. A mapping has no transactions: what happened inside is undone
    when the work raises, and a process that is killed during the work handles the event again.
    """

    def __init__(self, kept: MutableMapping[str, Any]) -> None:
        self._kept = kept
        self._before: dict[str, Any] = {}
        self._lock = _lock_of(kept)

    def set_up(self) -> None:
        """There is nothing to make."""

    def require_transaction(self) -> None:
        raise InvalidRequest(
            "a mapping has no transactions: let handle() note the event and do the work",
            param="store",
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock.lock:
            self._before = {}
            try:
                yield
            except BaseException:
                for key, value in self._before.items():
                    if value is _ABSENT:
                        self._kept.pop(key, None)
                    else:
                        self._kept[key] = value
                raise

    def remember(self, event_id: str, number: int | None, now: int) -> bool:
        known = self._kept.get(f"event:{event_id}")
        if known is None or (known[0] is None and number is not None):
            self._put(f"event:{event_id}", [number, now if known is None else known[1]])
        return known is None

    def knows(self, event_id: str) -> bool:
        return f"event:{event_id}" in self._kept

    def advance(self, object_id: str, sequence: int, now: int) -> bool:
        known = self._kept.get(f"object:{object_id}")
        if known is not None and known[0] >= sequence:
            return False
        self._put(f"object:{object_id}", [sequence, now])
        return True

    def number_before(self, number: int) -> int | None:
        return max((one for one, _ in self._numbers() if one < number), default=None)

    def highest_number(self, *, seen_by: int) -> int | None:
        return max((one for one, at in self._numbers() if at <= seen_by), default=None)

    def gaps(self, *, seen_by: int) -> Sequence[range]:
        whole_to = self.mark("whole_to")
        with self._lock.lock:  # asked outside of a transaction, while others write
            known = list(self._numbers())
        numbers = sorted(one for one in known if whole_to is None or one[0] > whole_to)
        befores = [None, *(number for number, _ in numbers)]
        triples = [(before, *one) for before, one in zip(befores, numbers, strict=False)]
        return gaps_of(triples, whole_to=whole_to, seen_by=seen_by)

    def mark(self, name: Mark) -> int | None:
        value: int | None = self._kept.get(f"mark:{name}")
        return value

    def set_mark(self, name: Mark, value: int) -> None:
        self._put(f"mark:{name}", value)

    def forget(self, before: int) -> int:
        old = [
            key
            for key, value in self._kept.items()
            if key.startswith(("event:", "object:")) and value[1] < before
        ]
        for key in old:
            self._before.setdefault(key, self._kept[key])
            del self._kept[key]
        return sum(key.startswith("event:") for key in old)

    def _numbers(self) -> Iterator[tuple[int, int]]:
        for key, value in self._kept.items():
            if key.startswith("event:") and value[0] is not None:
                yield value[0], value[1]

    def _put(self, key: str, value: Any) -> None:
        self._before.setdefault(key, self._kept.get(key, _ABSENT))
        self._kept[key] = value


class _Lock:
    def __init__(self) -> None:
        self.lock = threading.RLock()


# A mapping has one lock, however many inboxes write to it; most mappings take no attribute.
_LOCKS: WeakValueDictionary[int, _Lock] = WeakValueDictionary()
_LOCKS_LOCK = threading.Lock()


def _lock_of(kept: object) -> _Lock:
    with _LOCKS_LOCK:
        lock = _LOCKS.get(id(kept))
        if lock is None:
            lock = _LOCKS[id(kept)] = _Lock()
        return lock
