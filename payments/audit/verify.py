"""Whether the books are right: each promise has a query that finds violations.

All checks read one snapshot of the database and change nothing, so they may run beside any traffic.
The promises are in `payments.audit.invariants` (about our tables alone) and
`payments.audit.witness` (compared with the processors' statements).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, text

from payments.amounts import in_words
from payments.audit.promises import SETS, Invariant, Patience
from payments.audit.witness import INVARIANTS, sets
from payments.processors.statements import Statements

# An amount in a detail, in minor units, as the queries write it.
_AMOUNT = re.compile(r"\{(-?[0-9]+) ([A-Z]{3})\}")


@dataclass(frozen=True, slots=True)
class Offender:
    """What violates a promise: its id, and how."""

    id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of `looked_at` things."""

    invariant: Invariant
    looked_at: int
    # How many violate the promise, and the first twenty of them.
    broken: int
    offenders: Sequence[Offender]

    @property
    def is_kept(self) -> bool:
        return self.broken == 0

    def view(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "name": self.invariant.name,
            "promise": self.invariant.promise,
            "level": self.invariant.level,
            "kept": self.is_kept,
            "looked_at": self.looked_at,
            "broken": self.broken,
            "offenders": [{"id": one.id, "detail": one.detail} for one in self.offenders],
        }


def verify(
    engine: Engine,
    *,
    statements: Statements,
    patience: Patience | None = None,
    invariants: Sequence[Invariant] = INVARIANTS,
) -> Iterator[Finding]:
    """Check everything; yields one finding after the other. Only reads, in one snapshot.

    `statements` are those of the processors that keep one; what others moved is not checked.

    Sums over all rows take time: `engine` must allow statements longer than for requests.
    """
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with snapshot.begin() as connection:
        for invariant in invariants:
            yield check(connection, invariant, patience or Patience(), statements)


def is_sound(findings: Sequence[Finding]) -> bool:
    """Whether every promise is kept; warnings don't count."""
    return all(one.is_kept or one.invariant.level == "warning" for one in findings)


def check(
    connection: Connection, invariant: Invariant, patience: Patience, statements: Statements
) -> Finding:
    """Check one promise."""
    row = connection.execute(_statement(invariant, statements), _used(invariant, patience)).one()
    offenders = [Offender(one["id"], _in_words(one["detail"])) for one in row.offenders]
    return Finding(invariant, row.looked_at, row.broken, offenders)


def _in_words(detail: str) -> str:
    """A detail with its amounts in the form for people."""
    return _AMOUNT.sub(lambda found: in_words(int(found[1]), found[2]), detail)


def _statement(invariant: Invariant, statements: Statements) -> TextClause:
    # Composed of constants only.
    return text(
        f"WITH {SETS}, {sets(statements)}, broken AS ({invariant.broken_by})"  # noqa: S608
        f" SELECT (SELECT count(*) FROM {invariant.among}) AS looked_at,"
        " (SELECT count(*) FROM broken) AS broken,"
        " (SELECT coalesce(json_agg(first), '[]') FROM"
        " (SELECT id, detail FROM broken ORDER BY id LIMIT 20) AS first) AS offenders"
    )


def _used(invariant: Invariant, patience: Patience) -> dict[str, timedelta]:
    return {
        name: value
        for name, value in patience.parameters.items()
        if f":{name}" in invariant.broken_by
    }
