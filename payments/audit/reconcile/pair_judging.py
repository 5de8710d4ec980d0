"""Judges all pairs of a run, one after the other, and counts the results."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine

from payments.audit.reconcile import pairs, payouts
from payments.audit.reconcile.differences import Code, Difference
from payments.audit.reconcile.matching import Standing, judge
from payments.audit.reconcile.runs import Run


@dataclass(slots=True)
class Tally:
    """How many charges and refunds had each result, and how many differences of each kind there
    are."""

    standings: Counter[Standing] = field(default_factory=Counter)
    codes: Counter[Code] = field(default_factory=Counter)
    repaired: int = 0
    # Lines that are about neither a charge nor a refund, by kind.
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def differences(self) -> int:
        return sum(self.codes.values())

    @property
    def compared(self) -> int:
        return sum(self.standings.values()) - self.standings[Standing.ELSEWHERE]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs any more."""
        return self.differences == self.repaired

    def view(self) -> dict[str, Any]:
        """As programs get it."""
        return {
            "compared": self.compared,
            "agree": self.standings[Standing.AGREES],
            "pending": self.standings[Standing.PENDING],
            "undecided": self.standings[Standing.UNDECIDED],
            "differences": self.differences,
            "repaired": self.repaired,
            "by_code": {code.value: self.codes[code] for code in Code},
            "other_records": dict(self.others),
        }


def differences(
    engine: Engine, run: Run, tally: Tally, *, livemode: bool, advance: Callable[[int], object]
) -> Iterator[Difference]:
    """The differences, counted in `tally`; `advance` gets the number of lines processed. What has
    another mode than the processor (`livemode`) can't be in its records.

    Only reads, in one snapshot of our tables; repairs use other connections.
    """
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with snapshot.begin() as connection:
        tally.others = pairs.others(connection, run)
        for one in _differences(connection, run, tally, livemode, advance):
            tally.codes[one.code] += 1
            yield one


def _differences(
    connection: Connection,
    run: Run,
    tally: Tally,
    livemode: bool,
    advance: Callable[[int], object],
) -> Iterator[Difference]:
    terms = run.terms
    for pair in pairs.pairs(connection, run, livemode=livemode):
        judged = judge(pair, terms)
        tally.standings[judged.standing] += 1
        advance(len(pair.theirs))
        yield from judged.differences
    if run.payout_id is not None:
        yield from payouts.differences(connection, run)
