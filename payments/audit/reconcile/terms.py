"""What is reconciled, and from when on anything is old enough to be judged."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# What is younger than this may be on its way still: an answer, an event, a line in the books.
GRACE = timedelta(minutes=10)
# By how much the clocks of a processor and of our database may differ.
SKEW = timedelta(minutes=10)
# Money that moved long before we knew: a bank debit takes days. So far back records are read, when
# something that was settled in the period began then.
REACH_MAX = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Terms:
    """A processor's records of a period; or of a payout, which has none.

    `started_at` is when somebody began to read them: what is newer may be missing among them.
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
        """Whether that was so lately that the other side may not have it yet."""
        return at is not None and at >= self.started_at - GRACE

    def reach(self, began_at: datetime | None) -> bool:
        """Whether what began then would surely be among the records."""
        if self.read_from is None:
            return False
        return began_at is None or began_at - SKEW >= self.read_from

    def changed_since(self, at: datetime | None) -> bool:
        """Whether what happened then may have no record among those that were read."""
        return self.read_to is None or at is None or at >= self.read_to
