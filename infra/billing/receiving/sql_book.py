"""A book in tables beside the receiver's own, over any DB-API connection (PEP 249).

The SQL is that of SQLite (3.25 or later) and PostgreSQL, and of what speaks like them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from infra.billing.errors import InvalidRequest
from infra.billing.receiving import dbapi
from infra.billing.receiving.book import Mark, gaps_of

_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,39}(\.[a-z_][a-z0-9_]{0,39})?")


class SqlBook:
    """Three tables, all of whose names begin with `tables`."""

    def __init__(self, connection: Any, *, tables: str, paramstyle: str | None) -> None:
        if not _TABLE.fullmatch(tables):
            raise InvalidRequest(
                "tables must be the beginning of a table's name, like billing_inbox",
                param="tables",
            )
        self._connection = connection
        self._tables = tables
        self._paramstyle = paramstyle or dbapi.paramstyle_of(connection)

    def set_up(self) -> None:
        index = self._tables.rpartition(".")[2]
        for statement in _SET_UP:
            self._run(statement.replace("{index}", index))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with dbapi.transaction(self._connection):
            yield

    def require_transaction(self) -> None:
        dbapi.require_transaction(self._connection)

    def remember(self, event_id: str, number: int | None, now: int) -> bool:
        if self._run(_REMEMBER, event_id, number, now):
            return True
        if number is not None:  # it was read in the feed, which has no numbers
            self._run(_NUMBER, number, event_id)
        return False

    def knows(self, event_id: str) -> bool:
        return bool(self._read(_KNOWS, event_id))

    def advance(self, object_id: str, sequence: int, now: int) -> bool:
        return bool(self._run(_ADVANCE, object_id, sequence, now))

    def number_before(self, number: int) -> int | None:
        return self._value(_NUMBER_BEFORE, number)

    def highest_number(self, *, seen_by: int) -> int | None:
        return self._value(_HIGHEST, seen_by)

    def gaps(self, *, seen_by: int) -> Sequence[range]:
        whole_to = self.mark("whole_to")
        found = self._read(_BEHIND_GAPS, -1 if whole_to is None else whole_to)
        return gaps_of(found, whole_to=whole_to, seen_by=seen_by)

    def mark(self, name: Mark) -> int | None:
        return self._value(_MARK, name)

    def set_mark(self, name: Mark, value: int) -> None:
        self._run(_SET_MARK, name, value)

    def forget(self, before: int) -> int:
        self._run(_FORGET_OBJECTS, before)
        return self._run(_FORGET, before)

    def _run(self, statement: str, *values: object) -> int:
        """The number of rows written."""
        cursor = self._execute(statement, values)
        try:
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def _read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._execute(statement, values)
        try:
            return [_columns(row) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def _value(self, statement: str, *values: object) -> int | None:
        rows = self._read(statement, *values)
        return None if not rows or rows[0][0] is None else int(rows[0][0])

    def _execute(self, statement: str, values: Sequence[object]) -> Any:
        statement = statement.replace("{t}", self._tables)
        return dbapi.execute(self._connection, statement, values, paramstyle=self._paramstyle)


def _columns(row: Any) -> tuple[Any, ...]:
    """A row as a tuple, whatever row type the connection uses: `dict_row` makes dicts."""
    return tuple(row.values() if isinstance(row, Mapping) else row)


_SET_UP = (
    """CREATE TABLE IF NOT EXISTS {t}
        (event_id TEXT PRIMARY KEY, number BIGINT, seen_at BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS {index}_number ON {t} (number)",
    "CREATE INDEX IF NOT EXISTS {index}_seen_at ON {t} (seen_at)",
    """CREATE TABLE IF NOT EXISTS {t}_objects
        (object_id TEXT PRIMARY KEY, sequence BIGINT NOT NULL, seen_at BIGINT NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS {t}_marks (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
)
# The second insert waits for the first: if that commits, there is nothing to insert.
_REMEMBER = (
    "INSERT INTO {t} (event_id, number, seen_at) VALUES (?, ?, ?) ON CONFLICT (event_id) DO NOTHING"
)
_NUMBER = "UPDATE {t} SET number = ? WHERE event_id = ? AND number IS NULL"
_KNOWS = "SELECT 1 FROM {t} WHERE event_id = ?"
# Locks the object until the end of the transaction: its events are handled one after the other.
_ADVANCE = (
    "INSERT INTO {t}_objects AS known (object_id, sequence, seen_at) VALUES (?, ?, ?)"
    " ON CONFLICT (object_id) DO UPDATE"
    " SET sequence = excluded.sequence, seen_at = excluded.seen_at"
    " WHERE known.sequence < excluded.sequence"
)
_NUMBER_BEFORE = "SELECT max(number) FROM {t} WHERE number < ?"
_HIGHEST = "SELECT max(number) FROM {t} WHERE seen_at <= ?"
# The first number, and each one after a gap.
_BEHIND_GAPS = (
    "SELECT one_before, number, seen_at FROM (SELECT number, seen_at,"
    " lag(number) OVER (ORDER BY number) AS one_before FROM {t} WHERE number > ?) AS numbered"
    " WHERE one_before IS NULL OR one_before < number - 1 ORDER BY number"
)
_MARK = "SELECT value FROM {t}_marks WHERE name = ?"
_SET_MARK = (
    "INSERT INTO {t}_marks (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_FORGET = "DELETE FROM {t} WHERE seen_at < ?"
_FORGET_OBJECTS = "DELETE FROM {t}_objects WHERE seen_at < ?"
