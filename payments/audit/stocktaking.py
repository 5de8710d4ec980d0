"""The promises about prices and stock; those about money are in `payments.audit.invariants`."""

from payments.audit.promises import Invariant

_COUNTED = "prices WHERE quantity_available IS NOT NULL"

_ADDS_UP = Invariant(
    "stock adds up",
    "What is left of a price, held by charges and sold, is what there was at first and what was"
    " counted by hand.",
    _COUNTED,
    """
    SELECT p.id, format('%s left, %s held, %s sold and %s of these back; there were %s, and %s were'
                        ' counted by hand', p.quantity_available, coalesce(r.held, 0),
                        coalesce(r.sold, 0), coalesce(r.back, 0), p.initial_quantity,
                        coalesce(c.changes, 0)) AS detail
    FROM prices p LEFT JOIN (
        SELECT price_id, sum(quantity) FILTER (WHERE state = 'held') AS held,
               sum(quantity) FILTER (WHERE state = 'sold') AS sold, sum(restocked) AS back
        FROM reservations GROUP BY price_id
    ) r ON r.price_id = p.id LEFT JOIN (
        SELECT price_id, sum(change) AS changes FROM inventory_changes GROUP BY price_id
    ) c ON c.price_id = p.id
    WHERE p.quantity_available + coalesce(r.held, 0) + coalesce(r.sold, 0) - coalesce(r.back, 0)
          <> p.initial_quantity + coalesce(c.changes, 0)
    """,
)

_FOLLOWS = Invariant(
    "stock follows charges",
    "A charge of a price that has stock holds what it asked for while it is pending, has bought it"
    " when it succeeded, and has given it back when it failed.",
    "reservations",
    """
    SELECT coalesce(c.id, r.charge_id) AS id,
           format('%s, %s × %s; its stock: %s, %s × %s', coalesce(c.state, 'no such charge'),
                  c.quantity, c.price_id, coalesce(r.state, 'none'), r.quantity, r.price_id)
           AS detail
    FROM reservations r FULL JOIN (
        SELECT c.id, c.state, c.quantity, c.price_id FROM charges c JOIN prices p
        ON p.id = c.price_id WHERE p.quantity_available IS NOT NULL
    ) c ON c.id = r.charge_id
    WHERE c.id IS NULL OR r.charge_id IS NULL OR c.price_id <> r.price_id
       OR c.quantity <> r.quantity OR r.state <> CASE c.state
            WHEN 'pending' THEN 'held' WHEN 'succeeded' THEN 'sold' ELSE 'released' END
    """,
)

_COMES_BACK = Invariant(
    "goods come back once",
    "What came back of a charge is what its refunds say; a refund that succeeded brought back what"
    " it was asked to.",
    "refunds WHERE restock",
    """
    SELECT r.charge_id AS id, format('%s came back, its refunds say %s', r.restocked,
                                     sum(f.restocked)) AS detail
    FROM reservations r JOIN refunds f ON f.charge_id = r.charge_id AND f.restock
    GROUP BY r.charge_id, r.restocked HAVING r.restocked <> sum(f.restocked)
    UNION ALL
    SELECT f.id, format('%s, %s of %s units came back', f.state, f.restocked, f.restock_quantity)
    FROM refunds f
    WHERE f.restocked <> 0 AND NOT f.restock
       OR f.state = 'pending' AND f.restocked <> 0
       OR f.state = 'succeeded' AND f.restock AND f.restocked IS DISTINCT FROM f.restock_quantity
    """,
)

_AS_PRICED = Invariant(
    "amounts are what prices said",
    "The amount of a charge by price is the sum of its lines, in the currency of a price that is"
    " there.",
    "charges WHERE price_id IS NOT NULL",
    """
    SELECT c.id, format('{%1$s %2$s} for %3$s × %4$s; its lines say {%5$s %2$s}, the price is in'
                        ' %6$s', c.amount, c.currency, c.quantity, c.price_id,
                        coalesce(l.amount, 0),
                        coalesce(p.currency, 'nothing: there is none')) AS detail
    FROM charges c LEFT JOIN prices p ON p.id = c.price_id LEFT JOIN LATERAL (
        SELECT sum((line ->> 'amount')::bigint) AS amount
        FROM jsonb_array_elements(c.lines) AS line
    ) l ON true
    WHERE c.price_id IS NOT NULL AND (
        l.amount IS DISTINCT FROM c.amount OR p.currency IS DISTINCT FROM c.currency
        OR c.quantity IS NULL
    )
    """,
)

STOCK = (_ADDS_UP, _FOLLOWS, _COMES_BACK, _AS_PRICED)
