"""What the code does, written down in full: a text under `tests/recorded`, which a person reads.

A test that names every field of everything would be as long as the code. So what happens is
written out, and held against the text of before; whoever means to change it writes the text anew,
and reads the difference before it is committed:

    BILLING_TEST_RECORD=1 make test ARGS=tests/unit/test_decisions.py; git diff tests/recorded
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

FOLDER = Path(__file__).parents[1] / "recorded"
RECORDS = "BILLING_TEST_RECORD"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)")
# What nobody has named: ids, which are hashes, and the keys of tests/support/factories.py.
_MADE = re.compile(r"\b([a-z]+_)[a-z2-7]{32}\b|\b[0-9a-f]{8}-[0-9]+\b")


def hold(name: str, lines: Iterable[str]) -> None:
    """Fails, with the difference, unless these are the lines of `tests/recorded/NAME`."""
    file, now = FOLDER / name, [f"{line.rstrip()}\n" for line in lines]
    if os.environ.get(RECORDS):
        file.write_text("".join(now))
    before = file.read_text().splitlines(keepends=True) if file.exists() else []
    difference = list(difflib.unified_diff(before, now, "recorded", "now", n=1))
    assert not difference, f"{name} (tests/support/recorded.py)\n{''.join(difference)}"


class Names:
    """Ids that are made anew in every run, by names that stay: `charge-1`, `refund-2`."""

    def __init__(self, **known: str) -> None:
        """`known` are names with their ids."""
        self._names = {id_: name for name, id_ in known.items()}

    def know(self, name: str, id_: str) -> None:
        self._names[id_] = name

    def row(self, row: Mapping[str, Any]) -> str:
        """What a row says, in one line: without what is null, empty or false."""
        told = {name: value for name, value in sorted(row.items()) if _says_something(value)}
        return " ".join(f"{name}={self.value(value)}" for name, value in told.items())

    def value(self, value: Any) -> str:
        match value:
            case datetime():
                return "<moment>"
            case UUID():
                return "<uuid>"
            case Mapping():
                return f"{{{self.row(value)}}}"
            case list() | tuple():
                return f"[{', '.join(map(self.value, value))}]"
            case str():
                return self._text(value)
        return str(value)

    def _text(self, text: str) -> str:
        if _MOMENT.fullmatch(text):
            return "<moment>"
        for id_, name in self._names.items():
            text = text.replace(id_, f"<{name}>")
        text = _MADE.sub(lambda made: f"{made[1] or 'key_'}…", text)
        return text if re.fullmatch(r"\S+", text) else repr(text)


def _says_something(value: Any) -> bool:
    return value is not None and value is not False and value != {} and value != []
