"""What each day brought to each account, counted once: reports read that, and of the postings only
those that are not counted yet.

Seal by seal, behind the sealing: a seal's postings are all there, and none comes later. Where it
stands is a row of its own, in the transaction that counts, so that each posting counts once whoever
dies, whoever counts, and whatever version seals.
"""

from sqlalchemy import Boolean, literal_column, text

from payments.ledger.sealing import PART
from payments.transaction import Transaction

# Both entries of a posting `p`, with the kind of object that it is about.
ENTRIES = """
    CROSS JOIN LATERAL (VALUES
        (left(p.object_id, 3), p.debit, p.amount), (left(p.object_id, 3), p.credit, -p.amount)
    ) AS e (kind, account, amount)
"""


def count(transaction: Transaction, *, part: int = PART) -> int:
    """Count the postings of the next seals, `part` of them or one seal's: 1, or 0 if there is no
    seal to count, or another is at it. (Only tests have other parts.)"""
    until = transaction.execute(_NEXT, {"part": part}).scalar()
    if until is None:
        return 0
    transaction.execute(_COUNT, {"until": until})
    transaction.execute(_NOTE, {"until": until})
    return 1


# --- The statements, built once ---

# Whoever has the row is counting.
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
# In the order of the key, so that two lock rows in one order whatever they count.
_COUNT = text(f"""
    INSERT INTO ledger_days AS d (day, book, kind, account, amount)
    SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date), p.book, e.kind, e.account,
           sum(e.amount)
    FROM ledger_days_counted c JOIN ledger_postings p ON p.at >= c.until AND p.at < :until
    {ENTRIES}
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (day, book, kind, account) DO UPDATE SET amount = d.amount + EXCLUDED.amount
""")  # noqa: S608  # put together from constants of ours only
_NOTE = text("UPDATE ledger_days_counted SET until = :until")
# Whether `count` has something to do.
ANY_UNCOUNTED = literal_column(
    "(SELECT max(until) FROM ledger_seals) > (SELECT until FROM ledger_days_counted)", Boolean
)
