"""The promises that only an outside witness can prove: our tables against processors' statements.

Only charges and refunds of processors that keep a statement are checked.
"""

from models.bookkeeping import Account
from payments.audit.captured import CAPTURES
from payments.audit.invariants import OURS
from payments.audit.ledgered import LEDGER
from payments.audit.promises import Invariant
from payments.audit.stocktaking import STOCK
from payments.processors.statements import Statements, as_sql


def sets(statements: Statements) -> str:
    """What the queries below read, by the names that they use."""
    names = ", ".join(f"('{name}')" for name in statements) or "(NULL::text)"
    return f"""
statement AS NOT MATERIALIZED ({as_sql(statements)}),
witnessed (processor) AS (VALUES {names}),
moved AS NOT MATERIALIZED (
    -- What the processors say of each object; `back` are refunds that the bank returned.
    SELECT processor, object_id, min(direction) AS direction,
           count(*) FILTER (WHERE direction <> 'reversal') AS times,
           count(*) FILTER (WHERE direction = 'reversal') AS back,
           max(moved_at) FILTER (WHERE direction = 'reversal') AS back_at,
           min(amount) AS amount, count(DISTINCT amount) AS amounts,
           min(currency) AS currency, count(DISTINCT currency) AS currencies
    FROM statement GROUP BY processor, object_id
)
"""  # noqa: S608  # names of processors are letters, digits, dashes and underscores (settings)


_CHARGES = Invariant(
    "charges moved money once",
    "Money moved exactly once per succeeded charge, with its amount and currency; never for a "
    "failed one; never for what we don't know.",
    "charges",
    """
    SELECT coalesce(c.id, m.object_id) AS id,
           format('%s%s at %s here; moved there %s times%s', coalesce(c.state, 'nothing'),
                  ' of {' || c.amount || ' ' || c.currency || '}',
                  coalesce(c.processor, m.processor), coalesce(m.times, 0),
                  ', {' || m.amount || ' ' || m.currency || '}') AS detail
    FROM (SELECT * FROM charges WHERE processor IN (SELECT processor FROM witnessed)
          AND capture = 'automatic') c
    FULL JOIN (SELECT * FROM moved WHERE direction = 'charge' AND object_id NOT IN (
        SELECT id FROM charges WHERE capture = 'manual')) m
         ON m.object_id = c.id AND m.processor = c.processor
    WHERE CASE
        WHEN c.id IS NULL THEN TRUE
        WHEN c.state = 'failed' THEN m.object_id IS NOT NULL
        WHEN m.object_id IS NULL THEN c.state = 'succeeded'
        ELSE m.times <> 1 OR m.amounts <> 1 OR m.currencies <> 1
             OR m.amount <> c.amount OR m.currency <> c.currency
    END
    """,
)

# A capture that is pending here may have moved its money already. One in doubt counts as made if
# the processor says that everything was captured, even if that was done by hand there: then the
# money moved for the charge itself.
CAPTURED = Invariant(
    "captures moved money once",
    "Money moved exactly once per succeeded capture, with its amount; never for a failed one; and"
    " in all what the charge says.",
    "charges WHERE capture = 'manual'",
    """
    SELECT coalesce(k.id, m.object_id) AS id,
           format('%s%s here; moved there %s times%s', coalesce(k.state, 'nothing'),
                  ' of {' || k.amount || ' ' || k.currency || '}', coalesce(m.times, 0),
                  ', {' || m.amount || ' ' || m.currency || '}') AS detail
    FROM (
        SELECT k.id, k.charge_id, k.state, k.amount, c.currency, c.processor FROM captures k
        JOIN charges c ON c.id = k.charge_id
        WHERE c.processor IN (SELECT processor FROM witnessed)
    ) k
    FULL JOIN (SELECT * FROM moved WHERE direction = 'capture') m
         ON m.object_id = k.id AND m.processor = k.processor
    WHERE CASE
        WHEN k.id IS NULL THEN TRUE
        WHEN k.state = 'failed' THEN m.object_id IS NOT NULL
        WHEN m.object_id IS NULL THEN k.state = 'succeeded' AND NOT EXISTS (
            SELECT FROM statement s WHERE s.direction = 'charge' AND s.object_id = k.charge_id
            AND s.processor = k.processor)
        ELSE m.times <> 1 OR m.amounts <> 1 OR m.amount <> k.amount OR m.currency <> k.currency
    END
    UNION ALL
    SELECT c.id, format('%s with {%s %s} captured here, {%s %s} there', c.state, c.amount_captured,
                        c.currency, coalesce(s.amount, 0), c.currency)
    FROM charges c LEFT JOIN (
        SELECT processor, charge_id, sum(amount) AS amount FROM statement
        WHERE direction IN ('charge', 'capture') GROUP BY processor, charge_id
    ) s ON s.charge_id = c.id AND s.processor = c.processor
    WHERE c.capture = 'manual' AND c.processor IN (SELECT processor FROM witnessed)
      AND (c.amount_captured > coalesce(s.amount, 0)
           OR c.state <> 'pending' AND c.amount_captured <> coalesce(s.amount, 0))
    """,
)

_REFUNDS = Invariant(
    "refunds moved money once",
    "Money went back exactly once per succeeded refund; for a failed one it never went, or it came "
    "back.",
    "refunds",
    """
    SELECT coalesce(r.id, m.object_id) AS id,
           format('%s%s at %s here; moved there %s times and back %s times%s',
                  coalesce(r.state, 'nothing'), ' of {' || r.amount || ' ' || r.currency || '}',
                  coalesce(r.processor, m.processor), coalesce(m.times, 0), coalesce(m.back, 0),
                  ', {' || m.amount || ' ' || m.currency || '}') AS detail
    FROM (SELECT * FROM refunds WHERE processor IN (SELECT processor FROM witnessed)) r
    FULL JOIN (SELECT * FROM moved WHERE direction IN ('refund', 'reversal')) m
         ON m.object_id = r.id AND m.processor = r.processor
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
_OF_WHAT_IS_FINAL = """
        FROM statement l
        LEFT JOIN charges c ON c.id = l.charge_id AND l.direction IN ('charge', 'capture')
        LEFT JOIN refunds r ON r.id = l.object_id
        WHERE coalesce(c.state, r.state, '') <> 'pending' AND NOT (
            l.direction = 'reversal' AND r.state = 'succeeded' AND l.moved_at >= now() - :report
        )
        GROUP BY l.processor, l.currency
"""
_MONEY = Invariant(
    "money adds up",
    "Per processor and currency, what we say was taken and given back is what its statement says.",
    "statement",
    """
    SELECT coalesce(ours.currency, theirs.currency) AS id,
           format('%1$s: taken {%2$s %6$s} here, {%3$s %6$s} there; given back {%4$s %6$s} here,'
                  ' {%5$s %6$s} there', coalesce(ours.processor, theirs.processor),
                  coalesce(ours.taken, 0), coalesce(theirs.taken, 0), coalesce(ours.given, 0),
                  coalesce(theirs.given, 0), coalesce(ours.currency, theirs.currency)) AS detail
    FROM (
        SELECT processor, currency, sum(taken) AS taken, sum(given) AS given FROM (
            SELECT processor, currency, coalesce(amount_captured, amount) AS taken, 0 AS given
            FROM charges
            WHERE state = 'succeeded'
            UNION ALL
            SELECT processor, currency, 0, amount FROM refunds
            WHERE state = 'succeeded'
        ) both_kinds WHERE processor IN (SELECT processor FROM witnessed)
        GROUP BY processor, currency
    ) ours
    FULL JOIN (
        SELECT l.processor, l.currency,
               sum(l.amount) FILTER (WHERE l.direction IN ('charge', 'capture')) AS taken,
               sum(CASE l.direction WHEN 'refund' THEN l.amount WHEN 'reversal' THEN -l.amount END)
                   AS given
        OF_WHAT_IS_FINAL
    ) theirs ON theirs.currency = ours.currency AND theirs.processor = ours.processor
    WHERE coalesce(ours.taken, 0) <> coalesce(theirs.taken, 0)
       OR coalesce(ours.given, 0) <> coalesce(theirs.given, 0)
    """.replace("OF_WHAT_IS_FINAL", _OF_WHAT_IS_FINAL),
)

# Charges and refunds move money between these accounts; fees and disputes don't.
_MOVED = ", ".join(
    str(int(one))
    for one in (
        Account.CUSTOMER,
        Account.CLEARING,
        Account.IN_TRANSIT,
        Account.REFUNDS_PAYABLE,
    )
)
# The processor's balance by the ledger, for what was settled, before fees and disputes.
_CLEARED = Invariant(
    "the ledger is what processors say",
    "Per processor and currency, what the ledger has of charges and refunds that are final is what"
    " the processor's statement says.",
    "statement",
    (
        """
    SELECT coalesce(ours.currency, theirs.currency) AS id,
           format('%1$s: {%2$s %4$s} in the ledger, {%3$s %4$s} there',
                  coalesce(ours.processor, theirs.processor), coalesce(ours.amount, 0),
                  coalesce(theirs.amount, 0), coalesce(ours.currency, theirs.currency)) AS detail
    FROM (
        SELECT b.processor, b.currency,
               sum(CASE WHEN p.debit = CLEARING THEN p.amount ELSE -p.amount END) AS amount
        FROM ledger_postings p JOIN ledger_books b ON b.id = p.book
        LEFT JOIN charges c ON c.id = p.object_id LEFT JOIN refunds r ON r.id = p.object_id
        WHERE CLEARING IN (p.debit, p.credit) AND p.debit IN (MOVED) AND p.credit IN (MOVED)
          AND coalesce(c.state, r.state, 'pending') <> 'pending'
          AND b.processor IN (SELECT processor FROM witnessed)
        GROUP BY b.processor, b.currency
    ) ours
    FULL JOIN (
        SELECT l.processor, l.currency,
               sum(CASE WHEN l.direction = 'refund' THEN -l.amount ELSE l.amount END) AS amount
        OF_WHAT_IS_FINAL
    ) theirs ON theirs.currency = ours.currency AND theirs.processor = ours.processor
    WHERE coalesce(ours.amount, 0) <> coalesce(theirs.amount, 0)
      AND NOT EXISTS (SELECT FROM ledger_filling WHERE finished_at IS NULL)
    """
    )
    .replace("OF_WHAT_IS_FINAL", _OF_WHAT_IS_FINAL)
    .replace("CLEARING", str(int(Account.CLEARING)))
    .replace("MOVED", _MOVED),
)

INVARIANTS: tuple[Invariant, ...] = (
    *OURS,
    *STOCK,
    *CAPTURES,
    _CHARGES,
    CAPTURED,
    _REFUNDS,
    _MONEY,
    *LEDGER,
    _CLEARED,
)
