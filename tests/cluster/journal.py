"""What the producer wished for and was promised, and what the receiver heard: on disk first.

The witness's own: it is on no machine of the cluster, and a fault there changes nothing in it.
"""

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Wish:
    """A charge or a refund that somebody wants, under one key however often it is asked for."""

    key: str
    kind: str  # charge, refund
    fields: dict[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Promise:
    """An answer that accepts it."""

    key: str
    id: str
    machine: int
    at: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A webhook as it came."""

    headers: dict[str, str]
    body: str
    at: float

    @property
    def object_id(self) -> str | None:
        """The charge or refund that it says is final."""
        event = json.loads(self.body)
        kind, _, became = event["type"].partition(".")
        is_final = kind in ("charge", "refund") and became in ("succeeded", "failed")
        return str(event["data"][f"{kind}_id"]) if is_final else None


Entry = Wish | Promise | Heard


class Journal:
    """Entries in order. From any thread; an entry is on disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.entries: list[Entry] = []
        # The same once more, for those who ask every moment.
        self.born: dict[str, float] = {}
        self.ids: dict[str, str] = {}
        self.accepted_at: list[float] = []
        self.told: set[str] = set()

    def write(self, entry: Entry) -> None:
        line = json.dumps({type(entry).__name__: asdict(entry)})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.entries.append(entry)
            match entry:
                case Wish():
                    self.born[entry.key] = entry.at
                case Promise():
                    if entry.key not in self.ids:
                        self.accepted_at.append(entry.at)
                    self.ids[entry.key] = entry.id
                case Heard():
                    if found := entry.object_id:
                        self.told.add(found)

    def done(self) -> list[str]:
        """The keys of what was promised, and has been heard of."""
        with self._lock:
            return [key for key, id_ in self.ids.items() if id_ in self.told]

    def close(self) -> None:
        self._file.close()


def now() -> float:
    """The clock of all entries."""
    return time.monotonic()
