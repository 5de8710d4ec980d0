"""Mutants that no test kills, each with the reason why that is right.

By the text of the line and what is done to it, not by its number: lines move. An excuse whose line
is gone is an error (`test_mutants.py`), so the list can't outlive its reasons.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutations import Mutant

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Excuse:
    """`what` is the begin of the mutant's own description; "": whatever is done to the line."""

    path: str
    line: str
    what: str
    reason: str


EXCUSES: tuple[Excuse, ...] = (
    Excuse(
        "payments/lifecycle/backoff.py",
        "ceiling = min(UNAVAILABLE_MAX_S, UNAVAILABLE_MIN_S * 2.0 ** min(retries, 20))",
        "20 becomes",
        "only keeps the power from overflowing: from 9 on the five minutes rule",
    ),
    Excuse(
        "payments/lifecycle/backoff.py",
        "asked = min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)",
        "0.0 becomes",
        "no delay is below a second anyway, so a second that nobody asked for changes nothing",
    ),
    Excuse(
        "payments/lifecycle/accepting/charges.py",
        "TRIES, ROUNDS = 2, 4",
        "2 becomes",
        "how often a race for a reference is tried again; the rounds bound it anyway",
    ),
    Excuse(
        "payments/lifecycle/accepting/charges.py",
        "def accept(",
        "without `if n.request.price_id",
        "who names an amount is looked up for nothing: more statements, and the same answers",
    ),
    Excuse(
        "payments/lifecycle/accepting/charges.py",
        "break",
        "break becomes",
        "nothing is left to offer, so more rounds find nothing either",
    ),
    Excuse(
        "payments/lifecycle/accepting/charges.py",
        "return Accepted(row, fresh=True, claimed=claimed)",
        "True becomes",
        "whoever claims asks what is claimed, and never whether it is new",
    ),
    Excuse(
        "payments/lifecycle/accepting/asked.py",
        "if request.amount is None or request.currency is None:",
        "or becomes",
        "a request names both or neither; mypy wants both asked",
    ),
    Excuse(
        "payments/lifecycle/accepting/refunds.py",
        "[(row.charge_id, row.amount or 0) for row in inserted.values() if row.reserved],",
        "0 becomes",
        "what is reserved has an amount (a constraint of the table); only mypy does not know it",
    ),
    Excuse(
        "payments/lifecycle/accepting/refunds.py",
        "if not rows:",
        "never",
        "spares a statement that writes nothing",
    ),
    Excuse(
        "payments/lifecycle/accepting/refunds.py",
        '_READ = select(_t, func.now().label("now")).where(id_among(_t.c.id))',
        "without `func.now()",
        "nobody asks a repeat what time it is, but every row that is read for a rule can say it",
    ),
    Excuse(
        "payments/lifecycle/claims.py",
        "if not leases:",
        "never",
        "spares a statement that claims nothing",
    ),
    Excuse(
        "payments/lifecycle/claims.py",
        "if not ids:",
        "never",
        "spares a statement that finds nothing",
    ),
    Excuse(
        "payments/lifecycle/sweeps.py",
        "kind.table.c.next_attempt_at <= func.now(),",
        "<= becomes",
        "what is due at this very microsecond is woken by the next sweep, a second later",
    ),
    Excuse(
        "payments/lifecycle/sweeps.py",
        "table.c.woken_at < func.now() - timedelta(seconds=again_s),",
        "< becomes",
        "whoever was told to the microsecond so long ago may be told now or a second later",
    ),
)


def excuse_for(mutant: Mutant) -> str | None:
    """Why it may survive, or None."""
    text = (ROOT / mutant.path).read_text().splitlines()[mutant.line - 1].strip()
    for excuse in EXCUSES:
        same = (excuse.path, excuse.line) == (mutant.path, text)
        if same and mutant.what.startswith(excuse.what):
            return excuse.reason
    return None
