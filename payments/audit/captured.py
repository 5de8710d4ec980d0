"""The promises about captures and disputes; the others are in `payments.audit.invariants`."""

from payments.audit.promises import Invariant

_UNDER_WAY = Invariant(
    "captures are carried out",
    "A capture that is not final is the only one of a charge that is authorized, and that is being"
    " captured.",
    "captures WHERE state = 'pending'",
    """
    SELECT coalesce(c.id, k.id) AS id,
           format('%s, %s; its captures under way: %s', coalesce(c.state, 'no such charge'),
                  c.phase, k.captures) AS detail
    FROM (SELECT * FROM charges WHERE state = 'pending' AND capture = 'manual') c
    FULL JOIN (
        SELECT charge_id AS id, count(*) AS captures FROM captures WHERE state = 'pending'
        GROUP BY charge_id
    ) k ON k.id = c.id
    WHERE CASE
        WHEN k.id IS NULL THEN c.authorized_at IS NOT NULL AND c.phase NOT IN (
            'authorized', 'needs_review')
        ELSE k.captures <> 1 OR c.id IS NULL OR c.authorized_at IS NULL OR c.phase = 'authorized'
    END
    """,
)

# A capture may be made by hand at the processor, so a charge's total may exceed its captures.
_COUNTED = Invariant(
    "captures are counted",
    "What a charge says was captured covers what its captures took, and no capture took anything of"
    " a charge that is captured by itself.",
    "captures",
    """
    SELECT k.charge_id AS id, format('{%s %s} captured, its captures say {%s %s}',
                                     coalesce(c.amount_captured, 0), c.currency, k.amount,
                                     c.currency) AS detail
    FROM (
        SELECT charge_id, sum(amount) AS amount FROM captures WHERE state = 'succeeded'
        GROUP BY charge_id
    ) k LEFT JOIN charges c ON c.id = k.charge_id
    WHERE k.amount > coalesce(c.amount_captured, 0)
    """,
)

_DISPUTED = Invariant(
    "disputes are counted",
    "What a charge says is disputed is the sum of its disputes in which the bank has the money.",
    "disputes",
    """
    SELECT coalesce(c.id, d.charge_id) AS id,
           format('%s %s disputed, its disputes say %s %s', coalesce(c.disputed_amount, 0),
                  c.currency, coalesce(d.amount, 0), d.currency) AS detail
    FROM (SELECT * FROM charges WHERE disputed_amount <> 0) c FULL JOIN (
        SELECT charge_id, currency, sum(amount) AS amount FROM disputes
        WHERE state IN ('needs_response', 'under_review', 'lost') GROUP BY charge_id, currency
    ) d ON d.charge_id = c.id
    WHERE (coalesce(c.disputed_amount, 0), c.currency)
          IS DISTINCT FROM (coalesce(d.amount, 0)::bigint, d.currency)
    """,
)

CAPTURES = (_UNDER_WAY, _COUNTED, _DISPUTED)
