"""What is reconciled, and how old a row must be to be judged."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# Anything younger may still be on its way: an answer, an event, a line in the books.
GRACE = timedelta(minutes=10)
# How much the clocks of a processor and of our database may differ.
SKEW = timedelta(minutes=10)
# Money may move long before we know: a bank debit takes days. Records are read from this long
# before the period, for what was settled in the period but began then.
REACH_MAX = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Terms:
    """A processor's records of a period; or of a payout, which has no period.

    `started_at` is when reading began: anything newer may be missing.
    """

    processor: str
    started_at: datetime
    since: datetime | None = None
    until: datetime | None = None
    read_from: datetime | None = None
    read_to: datetime | None = None

    @property
    def of_a_period(self) -> bool:
        return self.since is not None

    def contain(self, at: datetime | None) -> bool:
        """Whether that was in the period."""
        if self.since is None or self.until is None:
            return True
        return at is not None and self.since <= at < self.until

    def is_young(self, at: datetime | None) -> bool:
        """Whether that was so recent that the other side may not have it yet."""
        return at is not None and at >= self.started_at - GRACE

    def reach(self, began_at: datetime | None) -> bool:
        """Whether what began then is certainly among the records."""
        if self.read_from is None:
            return False
        return began_at is None or began_at - SKEW >= self.read_from

    def changed_since(self, at: datetime | None) -> bool:
        """Whether what happened then may be missing from the records."""
        return self.read_to is None or at is None or at >= self.read_to
