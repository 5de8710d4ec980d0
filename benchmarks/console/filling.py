"""A year of charges, written straight into the tables: what the service would have left there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from payments.ledger.days import ENTRIES

# At once, so that a line tells how far it is.
CHUNK = 250_000
DAYS = 365
ENDPOINTS = 40
PRODUCERS = ("shop", "app", "desk", "till")
# A word that nearly all charges have, one of one in fifty, and one of a single charge.
COMMON, SOME, SINGLE = "autumn", "campaign7", "cart4711"

_TABLES = (
    "charges", "refunds", "disputes", "attempts", "events", "deliveries", "delivery_attempts",
    "ledger_postings", "audit_log",
)  # fmt: skip


def fill(engine: Engine, charges: int, tell: Callable[[str], None]) -> None:
    """So many charges over the last year, each with its attempt, event, delivery and posting: 4 of
    100 failed, 2 refunded, one of 1,000 disputed, one of 10,000 pending or in review; and the
    seals, balances and sums of each day."""
    with engine.begin() as connection:
        connection.execute(_ENDPOINTS, {"n": ENDPOINTS})
        connection.execute(_BOOKS, {"producers": list(PRODUCERS)})
    with _without_indexes(engine):
        for first in range(0, charges, CHUNK):
            given = {"first": first + 1, "last": min(first + CHUNK, charges), "all": charges}
            with engine.begin() as connection:
                _unguarded(connection)
                for statement in _ROWS:
                    connection.execute(text(statement), given | _GIVEN)
            tell(f"{given['last']:,} of {charges:,} charges")
    tell("indexes, seals and statistics")
    with engine.begin() as connection:
        _unguarded(connection)
        for statement in (_SEALS, _BALANCES, *_DAYS, _NUMBERS):
            connection.execute(text(statement))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _unguarded(connection: Connection) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))


@contextmanager
def _without_indexes(engine: Engine) -> Iterator[None]:
    """Rows first, and then the indexes: many times as fast."""
    with engine.begin() as connection:
        found = connection.execute(_INDEXES, {"tables": list(_TABLES)}).all()
        for one in found:
            connection.execute(text(f'DROP INDEX "{one.indexname}"'))
    yield
    for one in found:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
            connection.exec_driver_sql(one.indexdef)


_GIVEN = {
    "producers": list(PRODUCERS),
    "days": DAYS,
    "endpoints": ENDPOINTS,
    "common": COMMON,
}
_INDEXES = text("""
    SELECT indexname, indexdef FROM pg_indexes
    WHERE tablename = ANY (:tables)
      AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))
""")
_ENDPOINTS = text("""
    INSERT INTO webhook_endpoints (id, url, secrets, last_success_at)
    SELECT 'we_' || translate(md5('we' || n), '0189', 'wxyz'),
           'https://receiver' || n || '.example/hooks', ARRAY['sealed'], now()
    FROM generate_series(1, :n) AS n
""")
_BOOKS = text("""
    INSERT INTO ledger_books (id, producer, processor, currency, livemode)
    SELECT n, p, 'sandbox', 'USD', false
    FROM unnest(CAST(:producers AS text[])) WITH ORDINALITY AS given (p, n)
""")
# What is common to the statements: the charges of a part. Ids are as ours look.
_MADE = """
    WITH made AS (
        SELECT i, 'ch_' || translate(md5('ch' || i), '0189', 'wxyz') AS id,
               (CAST(:producers AS text[]))[1 + i % 4] AS producer, 1 + i % 4 AS book,
               100 + (i::bigint * 7919) % 20000 AS amount,
               now() - :days * interval '1 day' * (1 - i::float / :all) AS at,
               CASE WHEN i % 10000 = 77 THEN 'pending' WHEN i % 25 = 3 THEN 'failed'
                    ELSE 'succeeded' END AS state,
               CASE WHEN i % 10000 = 77 THEN
                    CASE WHEN i % 20000 = 77 THEN 'needs_review' ELSE 'queued' END END AS phase
        FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS i
    )
"""
_ROWS = [
    _MADE + each  # no part of it is given
    for each in (
        """
    INSERT INTO charges (id, producer, idempotency_key, fingerprint, metadata, state, phase,
        sequence, attempts, next_attempt_at, processor, processor_reference, failure_code,
        failure_message, created_at, settled_at, amount, currency, customer_id, reference,
        request_id, refunded_amount, refund_reserved, disputed_amount)
    SELECT id, producer, 'order-' || i, md5(id),
        jsonb_build_object('season', CAST(:common AS text), 'campaign', 'campaign' || i % 50,
                           'cart', 'cart' || i),
        state, phase, 2, 1, CASE WHEN state = 'pending' THEN now() + interval '1 day' END,
        'sandbox', 'sbx_' || md5(id), CASE WHEN state = 'failed' THEN 'card_declined' END,
        CASE WHEN state = 'failed' THEN 'The card was declined.' END, at,
        CASE WHEN state <> 'pending' THEN at + interval '1 second' END, amount, 'USD',
        'cus_' || i % 100000, 'order-' || i, 'req_' || md5('r' || i),
        CASE WHEN i % 50 = 5 THEN 100 ELSE 0 END, CASE WHEN i % 50 = 5 THEN 100 ELSE 0 END, 0
    FROM made
        """,
        """
    INSERT INTO attempts (object_id, number, verb, worker, started_at, ended_at, outcome)
    SELECT id, 1, 'charge', 'worker@one', at, at + interval '1 second',
        CASE state WHEN 'failed' THEN 'declined' WHEN 'pending' THEN 'unknown' ELSE state END
    FROM made
        """,
        """
    INSERT INTO events (id, type, object_id, sequence, body, created_at, producer)
    SELECT 'evt_' || translate(md5('evt' || i), '0189', 'wxyz'),
        CASE state WHEN 'pending' THEN 'charge.needs_review' ELSE 'charge.' || state END, id, 1,
        json_build_object('type', 'charge.' || state, 'timestamp', at, 'sequence', 1, 'data',
            json_build_object('object', 'charge', 'charge_id', id, 'amount', amount)),
        at + interval '1 second', producer
    FROM made
        """,
        """
    INSERT INTO deliveries (event_id, endpoint_id, state, attempts, next_attempt_at, created_at,
        finished_at, sequence, object_id, object_sequence)
    SELECT 'evt_' || translate(md5('evt' || i), '0189', 'wxyz'),
        'we_' || translate(md5('we' || 1 + i % :endpoints), '0189', 'wxyz'),
        CASE WHEN i % 1000 = 9 THEN 'exhausted' ELSE 'delivered' END, 1, NULL,
        at + interval '1 second', at + interval '2 seconds', i / :endpoints + 1, id, 1
    FROM made
        """,
        """
    INSERT INTO ledger_postings (at, effective_at, amount, book, debit, credit, object_id)
    SELECT at + interval '1 second', at + interval '1 second', amount, book, 2, 1, id
    FROM made WHERE state = 'succeeded'
        """,
        """
    INSERT INTO refunds (id, producer, idempotency_key, fingerprint, state, sequence, attempts,
        processor, processor_reference, created_at, settled_at, charge_id, amount, currency,
        reserved, charge_producer)
    SELECT 're_' || translate(md5('re' || i), '0189', 'wxyz'), producer, 'refund-' || i, md5(id),
        'succeeded', 2, 1, 'sandbox', 'sbx_' || md5('r' || id), at + interval '1 hour',
        at + interval '1 hour', id, 100, 'USD', true, producer
    FROM made WHERE i % 50 = 5
        """,
        """
    INSERT INTO disputes (id, charge_id, producer, processor, livemode, processor_reference, state,
        amount, currency, reason, told_at, created_at)
    SELECT 'dp_' || translate(md5('dp' || i), '0189', 'wxyz'), id, producer, 'sandbox', false,
        'sbx_' || md5('d' || id), 'needs_response', amount, 'USD', 'fraudulent', at, at
    FROM made WHERE i % 1000 = 12
        """,
        """
    INSERT INTO audit_log (id, created_at, actor, actor_kind, producer, door, action, object_id,
        reason)
    SELECT 'aud_' || translate(md5('aud' || i), '0189', 'wxyz'), at, 'ann', 'person', producer,
        'command', 'charge.cancel', id, 'as agreed'
    FROM made WHERE i % 100 = 1
        """,
    )
]
# A seal for each day that is over, and what each account came to at its end.
_SEALS = """
    INSERT INTO ledger_seals (until, postings, hash)
    SELECT date_trunc('day', at, 'UTC') + interval '1 day', count(*),
           encode(sha256(date_trunc('day', at, 'UTC')::text::bytea), 'hex')
    FROM ledger_postings WHERE at < date_trunc('day', now(), 'UTC')
    GROUP BY 1, 3 ON CONFLICT DO NOTHING
"""
_BALANCES = """
    INSERT INTO ledger_balances (book, account, until, balance, version)
    SELECT book, account, until, sum(sum(amount)) OVER w, sum(count(*)) OVER w
    FROM (
        SELECT p.book, e.account, e.amount,
               date_trunc('day', p.at, 'UTC') + interval '1 day' AS until
        FROM ledger_postings p
        CROSS JOIN LATERAL (VALUES (p.debit, p.amount), (p.credit, -p.amount))
             AS e (account, amount)
        WHERE p.at < date_trunc('day', now(), 'UTC')
    ) each
    GROUP BY book, account, until
    WINDOW w AS (PARTITION BY book, account ORDER BY until)
"""
# What each of those days brought, counted as the sweep does.
_DAYS = (
    f"""
    INSERT INTO ledger_days (day, book, kind, account, amount)
    SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date), p.book, e.kind, e.account,
           sum(e.amount)
    FROM ledger_postings p {ENTRIES}
    WHERE p.at < date_trunc('day', now(), 'UTC')
    GROUP BY 1, 2, 3, 4
    """,
    "DELETE FROM ledger_days_counted",
    "INSERT INTO ledger_days_counted VALUES (date_trunc('day', now(), 'UTC'))",
)
_NUMBERS = """
    UPDATE webhook_endpoints w SET last_sequence = (
        SELECT coalesce(max(sequence), 0) FROM deliveries d WHERE d.endpoint_id = w.id)
"""
