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
)


def excuse_for(mutant: Mutant) -> str | None:
    """Why it may survive, or None."""
    text = (ROOT / mutant.path).read_text().splitlines()[mutant.line - 1].strip()
    for excuse in EXCUSES:
        same = (excuse.path, excuse.line) == (mutant.path, text)
        if same and mutant.what.startswith(excuse.what):
            return excuse.reason
    return None
