"""Finds a moment in a table whose key counts up: events by position, deliveries by id.

Neither has an index on its age: that would make every charge slower, and bisecting the existing
index takes some thirty probes.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, bindparam, func, select

from payments.transaction import Transaction

# A key is assigned when a row is written, its date when the transaction began: the two orders may
# differ by this much. None of our transactions lasts half as long.
DISORDER = timedelta(minutes=1)


class Positions:
    """The rows of a table in the order of its key; `created_at` says how old each is."""

    def __init__(self, key: Column[Any], created_at: Column[Any]) -> None:
        self._last = select(func.coalesce(func.max(key), 0))
        self._at_or_before = (
            select(key.label("key"), created_at.label("created_at"))
            .where(key <= bindparam("key"))
            .order_by(key.desc())
            .limit(1)
        )

    def before(self, transaction: Transaction, at: datetime, margin: timedelta) -> int:
        """The key of the last row created before `at` and a margin; 0 if there is none. Right
        within DISORDER."""
        before, behind = 0, int(transaction.execute(self._last).scalar_one())
        while before < behind:
            middle = (before + behind + 1) // 2
            found = transaction.execute(self._at_or_before, {"key": middle}).first()
            if found is None or found.created_at - margin < at:
                before = middle
            else:
                behind = found.key - 1
        return before
