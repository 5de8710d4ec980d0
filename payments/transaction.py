"""One transaction, and whom to wake once it is committed.

Rules take a `Transaction`, never an engine: they can't commit, and they can't reach the network.
Waking is best-effort by design: what is due stands in a row, and the sweep finds it again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable

from infra.billing.contract.ids import Kind

T = TypeVar("T")


def read(
    connection: Connection,
    of: type[T],
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
) -> list[T]:
    """The rows that the statement returns, as `models.rows` types them."""
    rows: Any = connection.execute(statement, parameters).all()
    return list(rows)


def first(
    connection: Connection,
    of: type[T],
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
) -> T | None:
    """The first of these rows, if there is one."""
    rows = read(connection, of, statement, parameters)
    return rows[0] if rows else None


@dataclass(slots=True)
class Wakes:
    """Who has something to do now: endpoints with deliveries, charges and refunds that are due."""

    endpoints: set[str] = field(default_factory=set)
    charges: set[str] = field(default_factory=set)
    refunds: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.charges or self.refunds)

    def of(self, kind: Kind) -> set[str]:
        return self.charges if kind == "charge" else self.refunds


class Transaction:
    """An open transaction on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.wakes = Wakes()

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        return self.connection.execute(statement, parameters)

    def read(
        self, of: type[T], statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> list[T]:
        """What the statement returns: see the function `read`."""
        return read(self.connection, of, statement, parameters)


def nobody(_: Wakes) -> None:
    """Wakes nobody; the sweep will."""


class Database:
    """Opens transactions; after each commit it hands the wakes on."""

    def __init__(self, engine: Engine, wake: Callable[[Wakes], None] = nobody) -> None:
        self.engine = engine
        self._wake = wake

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.engine.begin() as connection:
            transaction = Transaction(connection)
            yield transaction
        if transaction.wakes:
            self._wake(transaction.wakes)
