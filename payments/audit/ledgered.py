"""The promises about the ledger: it agrees with the states, with the processors, and with what was
written before.

Where money stands is defined here a second time, in SQL, and not by the table from which it is
posted (`payments.ledger.chart`): a mistake in that table would not be found otherwise.
"""

from payments.audit.promises import Invariant
from payments.ledger.days import ENTRIES
from payments.ledger.sealing import SEALED_AGAIN

# Both sides of an account: only for objects that are posted already, while rows from before the
# ledger are still being posted.
_STANDING = """
sides (kind, id, created_at, producer, processor, currency, livemode, debit, credit, amount) AS (
    SELECT 'charges', id, created_at, producer, processor, currency, livemode,
           CASE WHEN state = 'succeeded' THEN 2 ELSE 3 END, 1, amount
    FROM charges WHERE capture = 'automatic'
      AND (state = 'succeeded' OR phase IN ('unknown', 'needs_review'))
    UNION ALL
    SELECT 'charges', id, created_at, producer, processor, currency, livemode, 2, 1,
           amount_captured
    FROM charges WHERE capture = 'manual' AND amount_captured > 0
    UNION ALL
    SELECT 'charges', c.id, c.created_at, c.producer, c.processor, c.currency, c.livemode, 3, 1,
           k.amount
    FROM charges c JOIN captures k ON k.charge_id = c.id AND k.state = 'pending'
    WHERE c.capture = 'manual' AND c.phase IN ('unknown', 'needs_review')
    UNION ALL
    SELECT 'charges', id, created_at, producer, processor, currency, livemode, 7, 2,
           coalesce(amount_captured, amount)
    FROM charges WHERE fee IS NOT NULL AND state = 'succeeded'
    UNION ALL
    SELECT 'charges', id, created_at, producer, processor, settlement_currency, livemode, 2, 7,
           net + fee
    FROM charges WHERE fee IS NOT NULL
    UNION ALL
    SELECT 'charges', id, created_at, producer, processor, settlement_currency, livemode, 4, 2, fee
    FROM charges WHERE fee IS NOT NULL
    UNION ALL
    SELECT 'refunds', id, created_at, coalesce(charge_producer, producer), processor, currency,
           livemode, 1,
           CASE WHEN state = 'succeeded' THEN 2 WHEN phase IN ('unknown', 'needs_review') THEN 3
                ELSE 6 END,
           amount
    FROM refunds WHERE reserved AND state <> 'failed'
    UNION ALL
    SELECT 'disputes', id, created_at, producer, processor, currency, livemode,
           CASE WHEN state = 'lost' THEN 1 ELSE 5 END, 2, amount
    FROM disputes WHERE state IN ('needs_response', 'under_review', 'lost')
),
walked (name, walked, since) AS (
    SELECT name, walked, started_at FROM ledger_filling WHERE finished_at IS NULL
),
stands AS (
    SELECT id, producer, processor, currency, livemode, account, sum(amount) AS amount
    FROM (
        SELECT s.*, debit AS account, amount AS signed FROM sides s
        UNION ALL SELECT s.*, credit, -amount FROM sides s
    ) s (kind, id, created_at, producer, processor, currency, livemode, debit, credit, whole,
         account, amount)
    WHERE NOT EXISTS (
        SELECT FROM walked w WHERE w.name = s.kind AND s.id > w.walked AND s.created_at < w.since
    )
    GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(amount) <> 0
),
entries AS (
    SELECT object_id, book, debit AS account, amount FROM ledger_postings
    UNION ALL SELECT object_id, book, credit, -amount FROM ledger_postings
),
posted AS (
    SELECT e.object_id AS id, b.producer, b.processor, b.currency, b.livemode, e.account,
           sum(e.amount) AS amount
    FROM entries e JOIN ledger_books b ON b.id = e.book
    WHERE e.object_id NOT LIKE 'po_%' AND NOT EXISTS (
        SELECT FROM walked w WHERE e.object_id > w.walked AND w.name = CASE left(e.object_id, 3)
            WHEN 'ch_' THEN 'charges' WHEN 're_' THEN 'refunds' ELSE 'disputes' END
          AND coalesce((SELECT created_at FROM charges c WHERE c.id = e.object_id),
                       (SELECT created_at FROM refunds r WHERE r.id = e.object_id),
                       (SELECT created_at FROM disputes d WHERE d.id = e.object_id)) < w.since
    )
    GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(e.amount) <> 0
)
"""

_NAMES = (
    "(ARRAY['customer', 'clearing', 'in_transit', 'fees', 'disputes', 'refunds_payable',"
    " 'exchange', 'bank'])"
)

_EQUAL = Invariant(
    "the ledger is what states say",
    "What is posted of a charge, a refund and a dispute is what it stands at, account by account.",
    "ledger_postings",
    f"""
    WITH {_STANDING}
    SELECT id, format('{{%s %s}} in %s, it stands at {{%s %s}}', coalesce(p.amount, 0), currency,
                      {_NAMES}[account], coalesce(s.amount, 0), currency) AS detail
    FROM stands s FULL JOIN posted p
         USING (id, producer, processor, currency, livemode, account)
    WHERE coalesce(p.amount, 0) <> coalesce(s.amount, 0)
    """,  # noqa: S608  # composed of constants only
)

WHOLE = Invariant(
    "the ledger is whole",
    "What was there before the ledger has been posted.",
    "ledger_filling WHERE finished_at IS NULL",
    """
    SELECT name AS id, format('walked up to %s; `billing ledger fill` goes on at once',
                              coalesce(nullif(walked, ''), 'nothing yet')) AS detail
    FROM ledger_filling WHERE finished_at IS NULL
    """,
    level="warning",
)

_BALANCED = Invariant(
    "every entry has its pair",
    "Each posting debits one account of a book and credits another with the same amount, above"
    " zero; and a book is what its id says.",
    "ledger_postings",
    """
    SELECT p.id::text AS id, format('%s from account %s to %s of book %s, of %s', p.amount,
                                    p.credit, p.debit, p.book, p.object_id) AS detail
    FROM ledger_postings p LEFT JOIN ledger_books b ON b.id = p.book
    WHERE p.amount <= 0 OR p.debit = p.credit OR b.id IS NULL
       OR p.debit NOT BETWEEN 1 AND 8 OR p.credit NOT BETWEEN 1 AND 8
    UNION ALL
    SELECT b.id::text, format('this is not the book of %s at %s in %s', b.producer, b.processor,
                              b.currency)
    FROM ledger_books b
    WHERE b.id <> ('x' || encode(substr(sha256(convert_to(concat_ws(chr(10), b.producer,
        b.processor, b.currency, CASE WHEN b.livemode THEN 'live' ELSE 'test' END), 'UTF8')
    ), 1, 8), 'hex'))::bit(64)::bigint
    """,
)

CHAIN = Invariant(
    "the seals are unbroken",
    "Each seal is the hash of the one before it and of its postings, as they are now.",
    "ledger_seals WHERE postings > 0",
    f"""
    SELECT until::text AS id,
           format('%s postings sealed, %s there; its hash is %s, and should be %s', postings,
                  postings_now, left(hash, 12), left(hash_now, 12)) AS detail
    FROM ({SEALED_AGAIN}) s WHERE hash <> hash_now OR postings <> postings_now
    UNION ALL
    SELECT p.id::text, format('written at %s, before the first seal', p.at)
    FROM ledger_postings p WHERE p.at < (SELECT min(until) FROM ledger_seals)
    UNION ALL
    SELECT 'the first seal', 'it is gone, or another' FROM (
        SELECT (SELECT hash FROM ledger_seals ORDER BY until LIMIT 1) AS hash
    ) f WHERE hash IS DISTINCT FROM encode(sha256('billing ledger'), 'hex')
    """,  # noqa: S608  # likewise
)

_BALANCES = Invariant(
    "balances are what was posted",
    "What an account came to at a seal is the sum of its entries until then, and so is their"
    " number.",
    "ledger_balances",
    f"""
    SELECT coalesce(b.book, e.book) || ':' || {_NAMES}[coalesce(b.account, e.account)] AS id,
           format('%s in %s entries until %s, it has %s in %s', b.balance, b.version,
                  coalesce(b.until, e.until), e.balance, e.version) AS detail
    FROM ledger_balances b FULL JOIN (
        SELECT book, account, until,
               sum(amount) OVER before AS balance, sum(entries) OVER before AS version
        FROM (
            SELECT e.book, e.account, u.untils[width_bucket(e.at, u.untils) + 1] AS until,
                   sum(e.amount) AS amount, count(*) AS entries
            FROM (
                SELECT at, book, debit AS account, amount FROM ledger_postings
                UNION ALL SELECT at, book, credit, -amount FROM ledger_postings
            ) e CROSS JOIN (
                SELECT array_agg(until ORDER BY until) AS untils FROM ledger_seals
            ) u
            GROUP BY 1, 2, 3
        ) by_seal WHERE until IS NOT NULL
        WINDOW before AS (PARTITION BY book, account ORDER BY until)
    ) e USING (book, account, until)
    WHERE b.balance IS DISTINCT FROM e.balance OR b.version IS DISTINCT FROM e.version
    """,  # noqa: S608  # likewise
)

_DAYS = Invariant(
    "days are what was posted",
    "What a day brought to an account is the sum of its entries that count on it, of those that are"
    " counted.",
    "ledger_days",
    f"""
    SELECT day || ' ' || book || ':' || {_NAMES}[account] AS id,
           format('%s of %s counted, posted were %s', coalesce(d.amount, 0), kind,
                  coalesce(e.amount, 0)) AS detail
    FROM ledger_days d FULL JOIN (
        SELECT CAST(p.effective_at AT TIME ZONE 'UTC' AS date) AS day, p.book, e.kind, e.account,
               sum(e.amount) AS amount
        FROM ledger_postings p {ENTRIES}
        WHERE p.at < (SELECT until FROM ledger_days_counted)
        GROUP BY 1, 2, 3, 4
    ) e USING (day, book, kind, account)
    WHERE d.amount IS DISTINCT FROM e.amount
    UNION ALL
    SELECT 'where counting stands', format('there are %s rows of it, and one is right', count(*))
    FROM ledger_days_counted HAVING count(*) <> 1
    """,  # noqa: S608  # likewise
)

LEDGER = (_EQUAL, WHOLE, _BALANCED, CHAIN, _BALANCES, _DAYS)
