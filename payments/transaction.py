"""One transaction, and what to wake once it is committed.

Rules take a `Transaction`, never an engine: they can't commit, and they can't reach the network.
Waking is best-effort by design: what is due is in a row, and the sweep finds it again.
"""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable

from infra.billing.contract.ids import Kind
from models.rows import LifecycleRow
from models.states import Status
from payments.acting import Acting
from payments.writes import Part, statement_of

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
    """What has work to do now: endpoints with deliveries, charges and refunds that are due."""

    endpoints: set[str] = field(default_factory=set)
    charges: set[str] = field(default_factory=set)
    refunds: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.charges or self.refunds)

    def of(self, kind: Kind) -> set[str]:
        return self.charges if kind == "charge" else self.refunds


class Moved(NamedTuple):
    """A charge or refund that was moved: what was done, the outcome, and the row afterwards."""

    operation: Kind
    verb: str
    outcome: str
    to: Status
    row: LifecycleRow


class Transaction:
    """An open transaction on one connection, and its actor.

    Workers settle what others requested, and have no actor (None). What a person or a key may do
    leaves a row with the actor (`payments.access.audit_log`), so a rule that does it fails in a
    transaction without one.
    """

    def __init__(self, connection: Connection, acting: Acting | None = None) -> None:
        self.connection = connection
        self.acting = acting
        self.wakes = Wakes()
        # What was moved in it, for the metrics, once it is committed.
        self.moved: list[Moved] = []
        self._gathered: list[Part] | None = None

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        return self.connection.execute(statement, parameters)

    def read(
        self, of: type[T], statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> list[T]:
        """What the statement returns: see the function `read`."""
        return read(self.connection, of, statement, parameters)

    def write(self, *parts: Part) -> None:
        """Write parts in one statement, and note what they wake: now, or with the others that are
        written `together`."""
        if self._gathered is not None:
            self._gathered += parts
            return
        writes, given = zip(*parts, strict=True)
        for row in self.connection.execute(statement_of(writes), dict(ChainMap(*given))):
            getattr(self.wakes, row.woken).add(row.id)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Writes within this context go to the database at its end, in one statement. What is
        executed or read within doesn't see them."""
        if self._gathered is not None:
            raise RuntimeError("parts are being put together already")
        gathered = self._gathered = []
        try:
            yield
        finally:
            self._gathered = None
        if gathered:
            self.write(*gathered)


def wakes_nothing(_: Wakes) -> None:
    """Wakes nothing; the sweep will."""


def uncounted(_: Sequence[Moved]) -> None:
    """Counts nothing."""


class Database:
    """Opens transactions, all with the actor `acting`; after each commit it passes on the wakes,
    and calls `count` with what moved."""

    def __init__(
        self,
        engine: Engine,
        wake: Callable[[Wakes], None] = wakes_nothing,
        count: Callable[[Sequence[Moved]], None] = uncounted,
        *,
        acting: Acting | None = None,
    ) -> None:
        self.engine = engine
        self._wake = wake
        self._count = count
        self._acting = acting

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.engine.begin() as connection:
            transaction = Transaction(connection, self._acting)
            yield transaction
        if transaction.moved:
            self._count(transaction.moved)
        if transaction.wakes:
            self._wake(transaction.wakes)
