"""All that the door knows: objects, keys, movements and what falls due, in memory and journal."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from local.stripe_door.journal import Journal
from local.stripe_door.shapes import Object

_TABLES = ("keys", "hits", "turns", "facts")


class Shelf:
    """Objects of one kind, in the order in which they were made."""

    def __init__(self) -> None:
        self._by_id: dict[str, Object] = {}
        self._order: list[str] = []
        self._created: list[int] = []  # grows with the order, since the clock never goes back
        self._place: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def get(self, id_: str) -> Object | None:
        """The object itself, to read and to change."""
        return self._by_id.get(id_)

    def put(self, id_: str, made: Object) -> None:
        if id_ not in self._place:
            self._place[id_] = len(self._order)
            self._order.append(id_)
            self._created.append(int(made.get("created", 0)))
        self._by_id[id_] = made

    def place_of(self, id_: str) -> int | None:
        return self._place.get(id_)

    def places_between(self, first: int | None, last: int | None) -> range:
        """The places of what was created from the second `first` to the second `last`."""
        begin = 0 if first is None else bisect_left(self._created, first)
        end = len(self._order) if last is None else bisect_right(self._created, last)
        return range(begin, end)

    def at(self, place: int) -> Object:
        return self._by_id[self._order[place]]

    def __iter__(self) -> Iterator[Object]:
        """Oldest first, of those that were there when it began."""
        for id_ in list(self._order):
            yield self._by_id[id_]


class Store:
    """One account at Stripe.

    A changed object is passed to `put`; `commit` writes everything as one line. All of it runs on
    one thread, so half a change is never visible.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float] = time.time) -> None:
        self.movements: list[Object] = []
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
        # Events that were made since the last commit, to be sent after it.
        self.told: list[Object] = []
        # When the first thing happens that is to happen later; there may be many of them.
        self.next_turn_at = 0.0
        self._shelves: dict[str, Shelf] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._new_movements = 0
        self._journal = journal
        self._clock = clock
        self._last_s = 0.0
        for line in journal.read():
            self._take(line)
        self._new_movements = len(self.movements)

    @property
    def now(self) -> float:
        """Unix seconds. Time may be moved forward by hand, and never goes back."""
        ahead = self.tables["facts"].get("ahead_s", 0.0)
        self._last_s = max(self._last_s, self._clock() + ahead)
        return self._last_s

    def shelf(self, kind: str) -> Shelf:
        return self._shelves.setdefault(kind, Shelf())

    def get(self, kind: str, id_: str) -> Object | None:
        return self.shelf(kind).get(id_)

    def put(self, made: Object) -> Object:
        """Keep an object: a new one, or one that was changed."""
        self.shelf(made["object"]).put(made["id"], made)
        self._changed[made["object"], made["id"]] = None
        return made

    def set(self, table: str, name: str, value: Any) -> None:
        """Keep a fact that is no object of Stripe's; None takes it away."""
        if value is None:
            self.tables[table].pop(name, None)
        else:
            self.tables[table][name] = value
        self._changed[f":{table}", name] = None

    def move(self, movement: Object) -> None:
        """Money moved."""
        self.movements.append(movement)

    def tell(self, event: Object) -> None:
        """An event happened."""
        self.told.append(self.put(event))

    def commit(self) -> list[Object]:
        """Write what changed; returns the events that are to be sent."""
        told, self.told = self.told, []
        moved = self.movements[self._new_movements :]
        if self._changed or moved:
            objects, tables = [], []
            for kind, name in self._changed:
                if kind.startswith(":"):
                    tables.append([kind[1:], name, self.tables[kind[1:]].get(name)])
                else:
                    objects.append(self.get(kind, name))
            self._journal.write({"objects": objects, "tables": tables, "moved": moved})
            self._changed.clear()
            self._new_movements = len(self.movements)
        return [deepcopy(event) for event in told]

    def _take(self, line: Any) -> None:
        for made in line["objects"]:
            self.shelf(made["object"]).put(made["id"], made)
        for table, name, value in line["tables"]:
            if value is None:
                self.tables[table].pop(name, None)
            else:
                self.tables[table][name] = value
        self.movements += line["moved"]

    def close(self) -> None:
        self._journal.close()
