"""The file that survives: one line per request, written before its answer leaves."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """An append-only file of JSON lines; without a path, nothing is kept.

    A line is written whole by one system call, so that a process that is killed leaves all of it
    or, at the very end of the file, a torn one, whose request was not answered. A crash of the
    operating system is another matter: nothing is fsynced.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = -1

    def read(self) -> Iterator[Any]:
        """What was written before; a torn last line is cut off. Then the file is open to write."""
        if self._path is None:
            return
        whole = 0
        if self._path.exists():
            with self._path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    yield json.loads(line)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, whole)

    def write(self, change: Any) -> None:
        """Append one line."""
        if self._file >= 0:
            line = json.dumps(change, separators=(",", ":")).encode() + b"\n"
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError("the journal took only a part of a line: is the disk full?")

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
