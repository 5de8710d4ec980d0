"""Sealing: the postings of a closed hour are hashed, in a chain, and summed up.

An hour is closed once no transaction can write into it any more. A posting gets its time while its
transaction holds the write lock of the table; so a posting that is older than a moment, and not
visible now, belongs to a transaction that began before that moment and still holds the lock. While
there is one, nothing is sealed; what it writes after the hour's end belongs to the next hour.

Two processes that seal at the same time compute the same seal, and the table accepts it once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Boolean, literal_column, text

from payments.transaction import Transaction

# Postings of one seal, so that it takes a fraction of a second however busy the hour was.
PART = 50_000
HOUR = timedelta(hours=1)
# The hash of some postings `p` after the hash `{previous}`: SHA-256 of that and of a line for each,
# in the order in which they were written; moments in microseconds since 1970.
LINES = """encode(sha256(convert_to({previous} || coalesce(string_agg(
    chr(10) || concat_ws('|',
        CAST(extract(epoch FROM p.at) * 1000000 AS bigint), p.id,
        CAST(extract(epoch FROM p.effective_at) * 1000000 AS bigint),
        p.object_id, p.book, p.debit, p.credit, p.amount
    ), '' ORDER BY p.at, p.id), ''), 'UTF8')), 'hex')"""


# Every seal but the first, with its value recomputed from the present postings.
SEALED_AGAIN = f"""
    SELECT s.until, s.postings, s.hash, l.postings AS postings_now, l.hash AS hash_now
    FROM ledger_seals s
    CROSS JOIN LATERAL (
        SELECT hash, until FROM ledger_seals b WHERE b.until < s.until
        ORDER BY b.until DESC LIMIT 1
    ) before
    CROSS JOIN LATERAL (
        SELECT count(*) AS postings, {LINES.format(previous="before.hash")} AS hash
        FROM ledger_postings p WHERE p.at >= before.until AND p.at < s.until
    ) l"""  # noqa: S608  # composed of constants only


@dataclass(frozen=True, slots=True)
class Seal:
    """A row of `ledger_seals`."""

    until: datetime
    postings: int
    hash: str


def seal(transaction: Transaction, *, part: int = PART, every: timedelta = HOUR) -> Seal | None:
    """Seal what follows the last seal, if its hour is closed; None: it isn't, or another process
    does it right now. (Only tests pass other parts, and shorter hours.)"""
    # Two processes of different versions might end a part in different places.
    if not transaction.execute(_ALONE).scalar():
        return None
    # In its own statement, before the snapshot of what is sealed.
    closed = transaction.execute(_CLOSED, {"every": every}).one()
    if not closed.is_closed:
        return None
    window = {"since": closed.since, "ends": closed.ends, "part": part}
    until = transaction.execute(_UNTIL, window).scalar_one()
    made = transaction.execute(_SEAL, {**window, "until": until, "previous": closed.hash}).first()
    if made is None:
        return None
    transaction.execute(_BALANCES, {**window, "until": until})
    return Seal(made.until, made.postings, made.hash)


# --- The statements, built once ---

# The table is part of the lock: advisory locks are shared by the whole database, and another of its
# schemas may have a ledger.
_ALONE = text("""
    SELECT pg_try_advisory_xact_lock(hashtextextended(
        'billing ledger', CAST(CAST('ledger_seals' AS regclass) AS oid)::bigint
    ))
""")
_CLOSED = text("""
    SELECT s.until AS since, s.ends, s.hash, s.ends <= statement_timestamp() AND NOT EXISTS (
        SELECT FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.relation = CAST('ledger_postings' AS regclass)
          AND coalesce(a.xact_start, '-infinity') < s.ends
    ) AS is_closed
    FROM (
        SELECT *, date_bin(:every, until, CAST('epoch' AS timestamptz)) + :every AS ends
        FROM ledger_seals ORDER BY until DESC LIMIT 1
    ) s
""")
# Whether an hour has ended that `seal` may find closed.
ANY_ENDED = literal_column(
    """coalesce((
        SELECT date_bin('1 hour', until, CAST('epoch' AS timestamptz)) + interval '1 hour' <= now()
        FROM ledger_seals ORDER BY until DESC LIMIT 1
    ), false)""",
    Boolean,
)
# Up to the end of the hour or `part` postings, and never between two postings of one moment.
_UNTIL = text("""
    SELECT coalesce((
        SELECT at FROM (
            SELECT at FROM ledger_postings WHERE at >= :since AND at < :ends
            ORDER BY at, id OFFSET :part LIMIT 1
        ) next WHERE at > :since
    ), :ends)
""")
_SEAL = text(f"""
    INSERT INTO ledger_seals (until, postings, hash)
    SELECT :until, count(*), {LINES.format(previous="CAST(:previous AS text)")}
    FROM ledger_postings p WHERE p.at >= :since AND p.at < :until
    ON CONFLICT DO NOTHING
    RETURNING until, postings, hash
""")  # noqa: S608  # composed of constants only
_BALANCES = text("""
    INSERT INTO ledger_balances (book, account, until, balance, version)
    SELECT e.book, e.account, :until, coalesce(b.balance, 0) + e.amount,
           coalesce(b.version, 0) + e.entries
    FROM (
        SELECT book, account, sum(amount) AS amount, count(*) AS entries
        FROM (
            SELECT book, debit AS account, amount FROM ledger_postings
            WHERE at >= :since AND at < :until
            UNION ALL
            SELECT book, credit, -amount FROM ledger_postings WHERE at >= :since AND at < :until
        ) both_sides GROUP BY book, account
    ) e LEFT JOIN LATERAL (
        SELECT balance, version FROM ledger_balances b
        WHERE b.book = e.book AND b.account = e.account ORDER BY until DESC LIMIT 1
    ) b ON true
""")
