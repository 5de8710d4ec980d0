"""The balances of accounts at any moment: the balance at the last seal before it, plus what was
posted since.

No row is updated with every posting, as all charges would wait for its lock.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from models.bookkeeping import Account
from payments.access.scopes import OPERATOR, Access


@dataclass(frozen=True, slots=True)
class Balance:
    """An account of a book: debits less credits, in minor units of its currency."""

    producer: str
    processor: str
    currency: str
    livemode: bool
    account: Account
    balance: int
    entries: int

    def view(self) -> dict[str, Any]:
        """The balance for programs."""
        return {
            "producer": self.producer,
            "processor": self.processor,
            "currency": self.currency,
            "livemode": self.livemode,
            "account": self.account.name.lower(),
            "balance": self.balance,
            "entries": self.entries,
        }


def balances(
    connection: Connection, *, at: datetime | None = None, access: Access = OPERATOR
) -> list[Balance]:
    """The balances of all accounts that had an entry until `at` (inclusive; None: now), as far as
    `access` sees their producers."""
    rows = connection.execute(_BALANCES, {"at": at}).all()
    found = [
        Balance(r.producer, r.processor, r.currency, r.livemode, Account(r.account), r.balance, r.n)
        for r in rows
    ]
    return [one for one in found if access.sees(one.producer)]


_BALANCES = text("""
    WITH moment AS (SELECT coalesce(CAST(:at AS timestamptz), 'infinity') AS at),
    sealed AS (
        SELECT max(until) AS until FROM ledger_seals, moment m WHERE until <= m.at
    ),
    entries AS (
        SELECT b.id AS book, a.account, l.balance, l.version AS n
        FROM sealed s CROSS JOIN ledger_books b
        CROSS JOIN generate_series(1, 8) AS a (account)
        CROSS JOIN LATERAL (
            SELECT balance, version FROM ledger_balances l
            WHERE l.book = b.id AND l.account = a.account AND l.until <= s.until
            ORDER BY l.until DESC LIMIT 1
        ) l
        UNION ALL
        SELECT p.book, e.account, e.amount, 1
        FROM sealed s CROSS JOIN moment m
        JOIN ledger_postings p ON p.at >= s.until AND p.at <= m.at
        CROSS JOIN LATERAL (VALUES (p.debit, p.amount), (p.credit, -p.amount))
             AS e (account, amount)
    )
    SELECT b.producer, b.processor, b.currency, b.livemode, e.account,
           sum(e.balance)::bigint AS balance, sum(e.n)::bigint AS n
    FROM entries e JOIN ledger_books b ON b.id = e.book
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
""")
