"""The promises that hold at every moment, each with a query that finds violations.

A query returns the offenders as rows of `id` and `detail`; an amount in a detail is written `{1999
USD}`, in minor units, and becomes words for people (`payments.audit.verify`). All of them see one
snapshot, and the processor's ledger is written before our side settles: what is final here must be
in the ledger, and what is still pending may be there already.
"""

from payments.audit import telling
from payments.audit.promises import Invariant

_KEYS = Invariant(
    "one key, one row",
    "A producer's key names at most one charge and one refund.",
    "objects",
    """
    SELECT min(id) AS id, format('%s %ss of %s under one key', count(*), kind, producer) AS detail
    FROM objects GROUP BY kind, producer, idempotency_key HAVING count(*) > 1
    """,
)

_REFUNDS_WITHIN = Invariant(
    "refunds within charges",
    "What is refunded and being refunded never exceeds what the charge took.",
    "charges",
    """
    SELECT c.id, format('{%s %s} of {%s %s} refunded or being refunded',
                        greatest(r.sum, c.refund_reserved), c.currency,
                        coalesce(c.amount_captured, c.amount), c.currency)
           AS detail
    FROM charges c LEFT JOIN (
        SELECT charge_id, sum(amount) FROM refunds WHERE reserved AND state <> 'failed'
        GROUP BY charge_id
    ) r ON r.charge_id = c.id
    WHERE greatest(r.sum, c.refund_reserved, c.refunded_amount)
          > coalesce(c.amount_captured, c.amount)
       OR c.refunded_amount > c.refund_reserved OR c.refunded_amount < 0
    """,
)

_REFUNDS_COUNTED = Invariant(
    "refunds are counted",
    "A charge's refund sums are those of its refunds.",
    "charges",
    """
    SELECT c.id, format('refunded {%1$s %5$s}, its refunds say {%2$s %5$s}; reserved {%3$s %5$s},'
                        ' its refunds say {%4$s %5$s}',
                        c.refunded_amount, coalesce(r.refunded, 0),
                        c.refund_reserved, coalesce(r.reserved, 0), c.currency) AS detail
    FROM charges c LEFT JOIN (
        SELECT charge_id, sum(amount) FILTER (WHERE state = 'succeeded') AS refunded,
               sum(amount) FILTER (WHERE reserved AND state <> 'failed') AS reserved
        FROM refunds GROUP BY charge_id
    ) r ON r.charge_id = c.id
    WHERE c.refunded_amount <> coalesce(r.refunded, 0)
       OR c.refund_reserved <> coalesce(r.reserved, 0)
    """,
)

_REFUNDS_OF_CHARGES = Invariant(
    "refunds have a charge",
    "A refund that took anything belongs to a charge of its currency; one that succeeded, to one "
    "that succeeded.",
    "refunds",
    """
    SELECT r.id, CASE WHEN c.id IS NULL THEN 'there is no charge ' || r.charge_id
                 ELSE format('%s in %s, its charge is %s in %s', r.state, r.currency, c.state,
                             c.currency) END AS detail
    FROM refunds r LEFT JOIN charges c ON c.id = r.charge_id
    WHERE (r.reserved OR r.state = 'succeeded')
      AND (c.id IS NULL OR r.currency IS DISTINCT FROM c.currency
           OR (r.state = 'succeeded' AND c.state <> 'succeeded'))
    """,
)

_LEASES = Invariant(
    "leases end",
    "No lease outlives its end by more than the time of recovery.",
    "objects",
    """
    SELECT o.id, format('its lease ended at %s', o.lease_expires_at) AS detail
    FROM objects o WHERE o.lease_expires_at < now() - :lease
    """,
)

_NOT_FORGOTTEN = Invariant(
    "nothing is forgotten",
    "What is pending is leased, due some time, or waits for a person, or to be captured.",
    "objects",
    """
    SELECT o.id, format('%s, and nobody will ever look', o.phase) AS detail
    FROM objects o WHERE o.state = 'pending' AND o.lease_token IS NULL
      AND o.next_attempt_at IS NULL
      AND o.phase NOT IN ('needs_review', 'authorized', 'awaiting_approval')
    """,
)

_DUE = Invariant(
    "due work is done",
    "What is due is taken up soon.",
    "objects",
    """
    SELECT o.id, format('%s, due since %s', o.phase, o.next_attempt_at) AS detail
    FROM objects o WHERE o.state = 'pending' AND o.lease_token IS NULL
      AND o.next_attempt_at < now() - :due
    """,
    level="warning",
)

_APPROVALS = Invariant(
    "what waits for approval is asked about",
    "A refund that waits for a second person has one open approval, and an open approval is of"
    " something that still waits: a refund, or a payment that needs review.",
    "(SELECT id FROM refunds WHERE phase = 'awaiting_approval'"
    " UNION SELECT object_id FROM approvals WHERE state = 'pending') AS waiting",
    """
    SELECT coalesce(o.id, a.object_id) AS id,
           CASE WHEN o.id IS NULL THEN format('asked about in %s, and there is none', a.id)
                WHEN a.id IS NULL THEN 'waits for approval, and nobody is asked'
                WHEN a.number > 1 THEN format('%s open approvals', a.number)
                ELSE format('%s is asked in %s, and it is %s', a.action, a.id,
                            coalesce(o.phase, o.state)) END AS detail
    FROM (SELECT id, kind, state, phase FROM objects WHERE phase = 'awaiting_approval'
          UNION SELECT id, kind, state, phase FROM objects
          WHERE id IN (SELECT object_id FROM approvals WHERE state = 'pending')) o
    FULL JOIN (
        SELECT object_id, count(*) AS number, min(id) AS id, min(action) AS action
        FROM approvals WHERE state = 'pending' GROUP BY object_id
    ) a ON a.object_id = o.id
    WHERE o.id IS NULL OR a.id IS NULL OR a.number > 1
       OR (a.action, coalesce(o.phase, o.state)) NOT IN (
           ('refund.create', 'awaiting_approval'), (o.kind || '.resolve', 'needs_review'))
    """,
)

_APPROVABLE = Invariant(
    "what waits for approval can be done",
    "No refund waits for a second person while its charge has failed.",
    "refunds",
    """
    SELECT r.id, format('its charge %s has failed: reject %s', c.id, a.id) AS detail
    FROM refunds r JOIN charges c ON c.id = r.charge_id
    LEFT JOIN approvals a ON a.object_id = r.id AND a.state = 'pending'
    WHERE r.phase = 'awaiting_approval' AND c.state = 'failed'
    """,
    level="warning",
)

_UNKNOWN = Invariant(
    "outcomes are known",
    "Nothing stays unknown, or in need of review, for long.",
    "objects",
    """
    SELECT o.id, format('%s since %s', o.phase, coalesce(o.first_called_at, o.created_at)) AS detail
    FROM objects o WHERE o.phase IN ('unknown', 'needs_review')
      AND coalesce(o.first_called_at, o.created_at) < now() - :unknown
    """,
    level="warning",
)

_ENDED = Invariant(
    "what is to end ends",
    "A charge whose time is up, or that somebody canceled, is not pending for long.",
    "charges",
    """
    SELECT id, CASE WHEN cancel_requested_at IS NULL
                        THEN format('expired at %s', coalesce(expires_at, capture_before))
                    ELSE format('to be canceled since %s', cancel_requested_at) END
               || format(', still %s', phase) AS detail
    FROM charges WHERE state = 'pending' AND phase <> 'needs_review'
      AND (coalesce(cancel_requested_at, 'infinity') < now() - :unknown
           OR cancel_requested_at IS NULL AND expires_at < now() - :due
           OR cancel_requested_at IS NULL AND phase = 'authorized'
              AND capture_before < now() - :due)
    """,
    level="warning",
)

_QUARANTINE = Invariant(
    "messages can be read",
    "No message lies in quarantine, unless a person has released or dismissed it.",
    "quarantined_messages",
    """
    SELECT q.id::text AS id, format('%s bytes from %s: %s', q.size, q.queue, q.reason) AS detail
    FROM quarantined_messages q WHERE q.released_at IS NULL
    """,
    level="warning",
)

OURS = (
    _KEYS,
    _REFUNDS_WITHIN,
    _REFUNDS_COUNTED,
    _REFUNDS_OF_CHARGES,
    telling.EVENTS_NUMBERED,
    telling.EVENTS_TELL,
    telling.PENDING_TOLD,
    _LEASES,
    _NOT_FORGOTTEN,
    _DUE,
    _APPROVALS,
    _APPROVABLE,
    _UNKNOWN,
    _ENDED,
    telling.DELIVERIES,
    telling.DELIVERED,
    telling.DELIVERIES_DUE,
    telling.GIVEN_UP_WITH_ENDPOINTS,
    telling.GIVEN_UP,
    _QUARANTINE,
)
