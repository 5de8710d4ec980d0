"""Every answer ever given to anybody, line by line, on disk before anything is done with it.

Each process of the storm writes a file of its own. A question is written before it is sent, and its
answer when it is there; who is killed in between leaves a question without an answer. Times are
those of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer. `got` is None when there was none."""

    actor: str
    did: str  # charge, refund, read, list, feed, inventory, endpoint, cancel, send, …
    asked: dict[str, Any]
    sent: float
    got: float | None
    status: int | None  # of HTTP; 200 for an SDK's object; None: no answer, or `error` says why
    body: Any
    error: str | None


class Journal:
    """Appends to one file. May be used from any thread."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{name}.jsonl").open("a", buffering=1)
        self._file.write("\n")  # whoever had this file before may have died in mid-line
        self._lock = threading.Lock()
        self._next = 0
        # A process that is started again goes on in the same file.
        self._me = f"{os.getpid()}.{time.monotonic_ns()}"

    def ask(self, actor: str, did: str, **asked: Any) -> str:
        """Note a question; returns its number, for the answer."""
        with self._lock:
            self._next += 1
            number = f"{self._me}.{self._next}"
            line = {"ask": number, "at": time.monotonic(), "actor": actor, "did": did}
            self._file.write(json.dumps({**line, "asked": asked}) + "\n")
        return number

    def answer(
        self, number: str, *, status: int | None = None, body: Any = None, error: str | None = None
    ) -> None:
        """Note the answer to a question, or why there is none."""
        line = {"answer": number, "at": time.monotonic(), "status": status, "body": body}
        with self._lock:
            self._file.write(json.dumps({**line, "error": error}) + "\n")

    def close(self) -> None:
        self._file.close()


def read(folder: Path) -> list[Exchange]:
    """All exchanges of all files, in the order in which they were asked."""
    asks: dict[str, dict[str, Any]] = {}
    answers: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in _whole_lines(path):
            if "ask" in line:
                asks[line["ask"]] = line
            else:
                answers[line["answer"]] = line
    exchanges = [
        Exchange(
            actor=ask["actor"],
            did=ask["did"],
            asked=ask["asked"],
            sent=ask["at"],
            got=answers[number]["at"] if number in answers else None,
            status=answers[number]["status"] if number in answers else None,
            body=answers[number]["body"] if number in answers else None,
            error=answers[number]["error"] if number in answers else None,
        )
        for number, ask in asks.items()
    ]
    return sorted(exchanges, key=lambda one: one.sent)


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Who is killed may leave half a line: that is only the last thing it wrote, or was asked."""
    for line in path.read_text().splitlines():
        try:
            if line:
                yield json.loads(line)
        except ValueError:
            continue
