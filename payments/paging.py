"""A list page by page, newest first: what the lists of all tables share.

A table is listed by `created_at` and `id`, the first columns of an index, so the thousandth page
costs as much as the first (`payments.cursors`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, select

from infra.billing.contract.limits import LIMIT_MAX
from payments.cursors import after, behind, ordered
from payments.payment_errors import InvalidRequest
from payments.transaction import read

R = TypeVar("R")
# The default number of rows.
LIMIT = 20


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows, and the cursor of the next page; None at the end."""

    rows: list[R]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A list over a table: the type of its rows, the prefix of their ids, and its filters.
    `condition` makes the condition of a filter from its name and its value; it raises
    InvalidRequest for an impossible value."""

    row: type[R]
    table: Table
    prefix: str
    filters: tuple[str, ...]
    condition: Callable[[str, Any], ColumnElement[bool]]

    def page(
        self,
        connection: Connection,
        *,
        filters: Mapping[str, Any] | None = None,
        limit: int = LIMIT,
        cursor: str | None = None,
        until: datetime | None = None,
        where: ColumnElement[bool] | None = None,
    ) -> Page[R]:
        """Up to `limit` (1 to 100) rows, newest first, after `cursor`.

        `filters` by their names; absent or None = any. `until` is where the list ends, so that no
        older row appears later (`payments.history.settled`); `where` are further conditions that
        always apply. Raises InvalidRequest.
        """
        if not 1 <= limit <= LIMIT_MAX:
            raise InvalidRequest(f"limit must be from 1 to {LIMIT_MAX}, not {limit}", param="limit")
        asked = self._asked(filters or {})
        # One more than asked for shows whether there is a next page.
        statement = select(self.table).order_by(*ordered(self.table)).limit(limit + 1)
        statement = statement.where(*(self.condition(*one) for one in asked.items()))
        if where is not None:
            statement = statement.where(where)
        if until is not None:
            statement = statement.where(self.table.c.created_at < until)
        if cursor is not None:
            is_behind = behind(self.table, cursor, prefix=self.prefix, filters=asked)
            statement = statement.where(is_behind)
        with planned_each_time(connection):
            rows = read(connection, self.row, statement)
        if len(rows) <= limit:
            return Page(rows, None)
        end: Any = rows[limit - 1]  # every listed table has both columns
        return Page(rows[:limit], after(end, filters=asked))

    def every(
        self,
        connection: Connection,
        *,
        filters: Mapping[str, Any] | None = None,
        until: datetime | None = None,
    ) -> Iterator[R]:
        """All rows, newest first, in the order of `page`; never more than a page of them in
        memory."""

        def read_page(cursor: str | None) -> Page[R]:
            return self.page(
                connection, filters=filters, limit=LIMIT_MAX, cursor=cursor, until=until
            )

        return walk(read_page)

    def _asked(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        for name in filters:
            if name not in self.filters:
                raise InvalidRequest(
                    f"{name} is not a filter; the filters are: {', '.join(self.filters)}",
                    param=name,
                )
        return {name: value for name, value in filters.items() if value is not None}


@contextmanager
def planned_each_time(connection: Connection) -> Iterator[None]:
    """Plan statements for their actual values.

    psycopg prepares statements that run often, and PostgreSQL may then use a generic plan. For a
    column with few values, that plan walks back through all rows until it has a page with the
    value; and for a rare value, or one without rows, to the beginning.
    """
    driver: Any = connection.connection.driver_connection
    before, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = before


def walk(page: Callable[[str | None], Page[R]]) -> Iterator[R]:
    """The rows of all pages, each read when it is reached; `page` reads the one after a cursor."""
    cursor: str | None = None
    while True:
        found = page(cursor)
        yield from found.rows
        cursor = found.next_cursor
        if cursor is None:
            return
