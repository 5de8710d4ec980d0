"""Daily totals of each account, counted once: reports read these, plus the postings not counted
yet.

Counted seal by seal, after sealing: a sealed hour has all its postings, and gets no more. The
progress is a row that is written in the transaction that counts, so that each posting counts once,
whichever process counts, dies, or seals with whatever version.
"""

from sqlalchemy import Boolean, literal_column, text

from payments.ledger.sealing import PART
from payments.transaction import Transaction

# Both entries of a posting `p`, with the kind of its object.
ENTRIES = """
    CROSS JOIN LATERAL (VALUES
        (left(p.object_id, 3), p.debit, p.amount), (left(p.object_id, 3), p.credit, -p.amount)
    ) AS e (kind, account, amount)
"""


def count(transaction: Transaction, *, part: int = PART) -> int:
    """Count the postings of the next seals, up to `part` of them or one whole seal. Returns 1, or 0
    if there is no seal to count or another process is counting. (Only tests pass `part`.)"""
    until = transaction.execute(_NEXT, {"part": part}).scalar()
    if until is None:
        return 0
    transaction.execute(_COUNT, {"until": until})
    transaction.execute(_NOTE, {"until": until})
    return 1


# --- The statements, built once ---

# The lock on this row is held while counting.
_NEXT = text("""
    SELECT (
        SELECT max(until) FROM (
            SELECT until, sum(postings) OVER so_far AS postings, row_number() OVER so_far AS number
            FROM ledger_seals s WHERE s.until > c.until
            WINDOW so_far AS (ORDER BY until) ORDER BY until LIMIT 1000
        ) following WHERE postings <= :part OR number = 1
    )
    FROM ledger_days_counted c FOR UPDATE OF c SKIP LOCKED
""")
# In the order of the key, so that two transactions lock rows in the same order.
_COUNT = text(f"""
    INSERT INTO ledger_days AS d (day, book, kind, account, amount)
    SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date), p.book, e.kind, e.account,
           sum(e.amount)
    FROM ledger_days_counted c JOIN ledger_postings p ON p.at >= c.until AND p.at < :until
    {ENTRIES}
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (day, book, kind, account) DO UPDATE SET amount = d.amount + EXCLUDED.amount
""")  # noqa: S608  # composed of constants only
_NOTE = text("UPDATE ledger_days_counted SET until = :until")
# Whether `count` has something to do.
ANY_UNCOUNTED = literal_column(
    "(SELECT max(until) FROM ledger_seals) > (SELECT until FROM ledger_days_counted)", Boolean
)
