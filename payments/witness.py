"""The promises that only an outside witness can prove: our side against the sandbox's ledger."""

from payments.invariants import OURS, Invariant
from payments.stocktaking import STOCK

_CHARGES = Invariant(
    "charges moved money once",
    "Money moved exactly once per succeeded charge, with its amount and currency; never for a "
    "failed one; never for what we don't know.",
    "charges",
    """
    SELECT coalesce(c.id, m.object_id) AS id,
           format('%s of %s %s here; moved %s times, %s %s', coalesce(c.state, 'nothing'), c.amount,
                  c.currency, coalesce(m.times, 0), m.amount, m.currency) AS detail
    FROM (SELECT * FROM charges WHERE processor = 'sandbox') c
    FULL JOIN (SELECT * FROM moved WHERE direction = 'charge') m ON m.object_id = c.id
    WHERE CASE
        WHEN c.id IS NULL THEN TRUE
        WHEN c.state = 'failed' THEN m.object_id IS NOT NULL
        WHEN m.object_id IS NULL THEN c.state = 'succeeded'
        ELSE m.times <> 1 OR m.amounts <> 1 OR m.currencies <> 1
             OR m.amount <> c.amount OR m.currency <> c.currency
    END
    """,
)

_REFUNDS = Invariant(
    "refunds moved money once",
    "Money went back exactly once per succeeded refund; for a failed one it never went, or it came "
    "back.",
    "refunds",
    """
    SELECT coalesce(r.id, m.object_id) AS id,
           format('%s of %s %s here; moved %s times and back %s times, %s %s',
                  coalesce(r.state, 'nothing'), r.amount, r.currency, coalesce(m.times, 0),
                  coalesce(m.back, 0), m.amount, m.currency) AS detail
    FROM (SELECT * FROM refunds WHERE processor = 'sandbox') r
    FULL JOIN (SELECT * FROM moved WHERE direction <> 'charge') m ON m.object_id = r.id
    WHERE CASE
        WHEN r.id IS NULL THEN TRUE
        WHEN m.object_id IS NULL THEN r.state = 'succeeded'
        WHEN m.times <> 1 OR m.back > 1 OR m.amounts <> 1 OR m.currencies <> 1
             OR m.amount <> r.amount OR m.currency <> r.currency THEN TRUE
        WHEN r.state = 'failed' THEN m.back <> 1
        WHEN r.state = 'succeeded' THEN m.back = 1 AND m.back_at < now() - :report
        ELSE FALSE
    END
    """,
)

# What is pending here may have moved already; what the bank returned just now isn't reported yet.
_MONEY = Invariant(
    "money adds up",
    "Per currency, what we say was taken and given back is what the ledger says.",
    "sandbox_ledger",
    """
    SELECT coalesce(ours.currency, theirs.currency) AS id,
           format('taken %s here, %s in the ledger; given back %s here, %s in the ledger',
                  coalesce(ours.taken, 0), coalesce(theirs.taken, 0),
                  coalesce(ours.given, 0), coalesce(theirs.given, 0)) AS detail
    FROM (
        SELECT currency, sum(taken) AS taken, sum(given) AS given FROM (
            SELECT currency, amount AS taken, 0 AS given FROM charges
            WHERE state = 'succeeded' AND processor = 'sandbox'
            UNION ALL
            SELECT currency, 0, amount FROM refunds
            WHERE state = 'succeeded' AND processor = 'sandbox'
        ) both_kinds GROUP BY currency
    ) ours
    FULL JOIN (
        SELECT l.currency,
               sum(l.amount) FILTER (WHERE l.direction = 'charge') AS taken,
               sum(CASE l.direction WHEN 'refund' THEN l.amount WHEN 'reversal' THEN -l.amount END)
                   AS given
        FROM sandbox_ledger l
        LEFT JOIN charges c ON c.id = l.object_id
        LEFT JOIN refunds r ON r.id = l.object_id
        WHERE coalesce(c.state, r.state, '') <> 'pending' AND NOT (
            l.direction = 'reversal' AND r.state = 'succeeded' AND l.moved_at >= now() - :report
        )
        GROUP BY l.currency
    ) theirs ON theirs.currency = ours.currency
    WHERE coalesce(ours.taken, 0) <> coalesce(theirs.taken, 0)
       OR coalesce(ours.given, 0) <> coalesce(theirs.given, 0)
    """,
)

INVARIANTS: tuple[Invariant, ...] = (*OURS, *STOCK, _CHARGES, _REFUNDS, _MONEY)
