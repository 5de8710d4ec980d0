"""The promises about events and webhooks (see `payments.audit.invariants`)."""

from collections.abc import Sequence

from infra.billing.contract.event_types import ONLY_BY_NAME, TO_OTHERS
from payments.audit.promises import Invariant


def _in_sql(names: Sequence[str]) -> str:
    """Our own names as an SQL list."""
    return f"({', '.join(repr(name) for name in names)})"


EVENTS_NUMBERED = Invariant(
    "events have no gap",
    "The events of an object are numbered from 1 without a gap, but for those that were kept for"
    " their time.",
    "numbered",
    """
    SELECT o.id, format('%s events, numbered %s to %s, should be %s', coalesce(e.n, 0), e.first,
                        e.last, o.sequence) AS detail
    FROM numbered o CROSS JOIN gone LEFT JOIN (
        SELECT object_id, count(*) AS n, min(sequence) AS first, max(sequence) AS last,
               -- Those behind all that have left have no gap among them.
               count(*) FILTER (WHERE position > gone.events_through) AS kept,
               min(sequence) FILTER (WHERE position > gone.events_through) AS first_kept
        FROM events CROSS JOIN gone GROUP BY object_id
    ) e ON e.object_id = o.id
    WHERE e.last > o.sequence
       OR e.kept > 0 AND e.first_kept + e.kept - 1 <> o.sequence
       OR o.created_at > gone.before
          AND (coalesce(e.n, 0) <> o.sequence OR e.first <> 1 OR e.last <> o.sequence)
    """,
)

# `pending` first, if an endpoint subscribes to it; then, as often as needed, `needs_review`,
# `requires_action` and events of authorized money; then one end. A charge that was canceled on
# request publishes `canceled`, not `failed`. Only a refund may still fail after it has succeeded:
# the bank returned it. And more may become known of a charge that has succeeded.
EVENTS_TELL = Invariant(
    "events tell the truth",
    "Events tell each end once, as the last word, and agree with the state.",
    "objects",
    """
    SELECT o.id, format('%s, but its events are: %s', o.state, coalesce(e.types, 'none')) AS detail
    FROM objects o CROSS JOIN gone LEFT JOIN (
        SELECT object_id, string_agg(type, ' ' ORDER BY sequence) AS types, count(*) AS n
        FROM events GROUP BY object_id
    ) e ON e.object_id = o.id
    -- If its first events are past their retention, the rest can't be judged.
    WHERE (o.created_at > gone.before OR coalesce(e.n, 0) >= o.sequence)
      AND coalesce(' ' || e.types, '') !~ ('^' || replace(
        '( KIND[.]pending)?( KIND[.]needs_review| refund[.]needs_approval'
        '| charge[.](requires_action|authorized|captured|capture_failed'
        '|authorization_expiring))*' || CASE
            WHEN o.state = 'succeeded' THEN ' KIND[.]succeeded( charge[.]updated)*'
            WHEN o.kind = 'charge' AND o.failure_code IN ('canceled', 'expired')
                THEN ' charge[.]canceled'
            WHEN o.state = 'failed' THEN
                CASE o.kind WHEN 'refund' THEN '( KIND[.]succeeded)?' ELSE '' END
                || ' KIND[.]failed'
            ELSE '' END, 'KIND', o.kind) || '$')
    """,
)

# Except refunds of another producer's charge: whose it is may have become known only when the
# charge came.
PENDING_TOLD = Invariant(
    "pending is told",
    "That a charge or a refund is accepted is told while an endpoint asks for it by name.",
    "objects",
    """
    SELECT o.id, format('%s asks for %s.pending, which was not told', w.id, o.kind) AS detail
    FROM webhook_endpoints w
    JOIN objects o ON o.created_at > w.subscribed_at + :fan_out
                  AND o.kind || '.pending' = ANY (w.event_types)
                  AND (w.producer IS NULL OR w.producer = o.owner AND w.producer = o.producer)
    JOIN gone ON o.created_at > gone.before
    WHERE w.state = 'enabled' AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.object_id = o.id AND e.sequence = 1 AND e.type = o.kind || '.pending'
    )
    """,
)

DELIVERIES = Invariant(
    "events are delivered",
    "Every event has a delivery for every endpoint that asked for it.",
    "events",
    f"""
    SELECT e.id, format('%s has no delivery for %s', e.type, w.id) AS detail
    FROM webhook_endpoints w
    JOIN events e ON e.created_at > w.subscribed_at + :fan_out AND (
        e.type = ANY (w.event_types)
        OR cardinality(w.event_types) = 0 AND e.type NOT IN {_in_sql(ONLY_BY_NAME)}
    )
    JOIN gone ON e.position > gone.events_through
    WHERE w.state = 'enabled' AND (e.type <> 'ping' OR e.object_id = w.id)
      AND (e.type NOT IN {_in_sql(TO_OTHERS)} OR e.object_id <> w.id)
      AND (w.producer IS NULL OR e.producer IN (w.producer, '*')) AND NOT EXISTS (
        SELECT FROM deliveries d WHERE d.event_id = e.id AND d.endpoint_id = w.id
    )
    """,  # noqa: S608  # our own names
)

DELIVERED = Invariant(
    "delivered means accepted",
    "What counts as delivered was answered with a 2xx, or taken by a queue, as far as answers are"
    " still kept.",
    "deliveries",
    """
    SELECT d.event_id AS id, format('delivered to %s, which never said so', d.endpoint_id) AS detail
    FROM deliveries d JOIN gone ON d.id > gone.deliveries_through
    WHERE d.state = 'delivered' AND NOT EXISTS (
        SELECT FROM delivery_attempts a
        WHERE a.delivery_id = d.id
          AND (a.status_code BETWEEN 200 AND 299 OR coalesce(a.status_code::text, a.error) IS NULL)
    )
    """,
)

DELIVERIES_DUE = Invariant(
    "due webhooks are sent",
    "What is due at an enabled endpoint is posted soon, unless it is left alone.",
    "deliveries",
    """
    SELECT d.event_id AS id, format('due at %s since %s', d.endpoint_id, d.next_attempt_at)
           AS detail
    FROM deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint_id
    WHERE d.state = 'pending' AND w.state = 'enabled'
      AND greatest(d.next_attempt_at, w.held_back_until) < now() - :due
    """,
    level="warning",
)

GIVEN_UP_WITH_ENDPOINTS = Invariant(
    "nothing waits for the deleted",
    "What waited for a deleted endpoint is given up soon.",
    "deliveries",
    """
    SELECT d.event_id AS id, format('waits for %s, which is deleted', d.endpoint_id) AS detail
    FROM deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint_id
    WHERE d.state = 'pending' AND w.state = 'deleted'
      -- The sweep takes a second; a million of them, some minutes.
      AND greatest(d.created_at, w.deleted_at) < now() - 10 * :due
    """,
    level="warning",
)

GIVEN_UP = Invariant(
    "no webhook is given up",
    "Receivers answer before all attempts are used up.",
    "deliveries",
    """
    SELECT d.event_id AS id, format('given up for %s after %s attempts', d.endpoint_id, d.attempts)
           AS detail
    FROM deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint_id
    WHERE d.state = 'exhausted' AND w.state <> 'deleted'
    """,
    level="warning",
)
