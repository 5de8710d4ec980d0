"""The promises that hold at every moment, each with the query that finds what breaks it.

A query returns the offenders as rows of `id` and `detail`; an amount in a detail is written `{1999
USD}`, in minor units, and becomes words for people (`payments.audit.verify`). All of them see one
snapshot, and the processor's ledger is written before our side settles: what is final with us must
be in the ledger, and what is still pending may be there already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something may last before it counts."""

    # The sweep comes every second; thirty are the promise of recovery after a crash.
    lease: timedelta = timedelta(seconds=30)
    # What is due and nobody works on: workers are down, or far too few.
    due: timedelta = timedelta(minutes=1)
    # Most unknown outcomes are looked up within seconds; after an hour a person should look.
    unknown: timedelta = timedelta(hours=1)
    # A refund that the bank returned: until the processor has told us.
    report: timedelta = timedelta(minutes=2)
    # A transaction that began before an endpoint was there may commit events after it.
    fan_out: timedelta = timedelta(minutes=1)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise. `among` says what is looked at, as a FROM clause; an error means that money or
    news went wrong, a warning that a person should look."""

    name: str
    promise: str
    among: str
    broken_by: str
    level: Literal["error", "warning"] = "error"


# What several queries read, by the name under which they read it.
SETS = """
objects AS NOT MATERIALIZED (
    SELECT 'charge' AS kind, id, producer, idempotency_key, state, phase, sequence, lease_token,
           lease_expires_at, next_attempt_at, first_called_at, created_at, failure_code FROM charges
    UNION ALL
    SELECT 'refund', id, producer, idempotency_key, state, phase, sequence, lease_token,
           lease_expires_at, next_attempt_at, first_called_at, created_at, failure_code FROM refunds
),
numbered AS NOT MATERIALIZED (
    SELECT id, sequence FROM objects UNION ALL SELECT id, sequence FROM prices
)
"""

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
    "What is refunded and being refunded never exceeds the charge.",
    "charges",
    """
    SELECT c.id, format('{%s %s} of {%s %s} refunded or being refunded',
                        greatest(r.sum, c.refund_reserved), c.currency, c.amount, c.currency)
           AS detail
    FROM charges c LEFT JOIN (
        SELECT charge_id, sum(amount) FROM refunds WHERE reserved AND state <> 'failed'
        GROUP BY charge_id
    ) r ON r.charge_id = c.id
    WHERE greatest(r.sum, c.refund_reserved, c.refunded_amount) > c.amount
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

_EVENTS_NUMBERED = Invariant(
    "events have no gap",
    "The events of an object are numbered from 1 without a gap.",
    "numbered",
    """
    SELECT o.id, format('%s events, numbered %s to %s, should be %s', coalesce(e.n, 0), e.first,
                        e.last, o.sequence) AS detail
    FROM numbered o LEFT JOIN (
        SELECT object_id, count(*) AS n, min(sequence) AS first, max(sequence) AS last
        FROM events GROUP BY object_id
    ) e ON e.object_id = o.id
    WHERE coalesce(e.n, 0) <> o.sequence OR e.first <> 1 OR e.last <> o.sequence
    """,
)

# Pending first; then as often as needed "needs review" and "requires action"; then one end. A
# charge that somebody ended is told as canceled, and not as failed. Only a refund may still fail
# after it has succeeded: the bank returned it.
_EVENTS_TELL = Invariant(
    "events tell the truth",
    "Events tell each end once, after the beginning, and agree with the state.",
    "objects",
    """
    SELECT o.id, format('%s, but told: %s', o.state, coalesce(e.story, 'nothing')) AS detail
    FROM objects o LEFT JOIN (
        SELECT object_id, string_agg(type, ' ' ORDER BY sequence) AS story
        FROM events GROUP BY object_id
    ) e ON e.object_id = o.id
    WHERE coalesce(e.story, '') !~ ('^' || replace(
        'KIND[.]pending( KIND[.]needs_review| charge[.]requires_action)*' || CASE
            WHEN o.state = 'succeeded' THEN ' KIND[.]succeeded'
            WHEN o.kind = 'charge' AND o.failure_code IN ('canceled', 'expired')
                THEN ' charge[.]canceled'
            WHEN o.state = 'failed' THEN
                CASE o.kind WHEN 'refund' THEN '( KIND[.]succeeded)?' ELSE '' END
                || ' KIND[.]failed'
            ELSE '' END, 'KIND', o.kind) || '$')
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
    "What is pending is leased, due some time, or waits for a person.",
    "objects",
    """
    SELECT o.id, format('%s, and nobody will ever look', o.phase) AS detail
    FROM objects o WHERE o.state = 'pending' AND o.lease_token IS NULL
      AND o.next_attempt_at IS NULL AND o.phase <> 'needs_review'
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
    SELECT id, CASE WHEN cancel_requested_at IS NULL THEN format('expired at %s', expires_at)
                    ELSE format('to be canceled since %s', cancel_requested_at) END
               || format(', still %s', phase) AS detail
    FROM charges WHERE state = 'pending' AND phase <> 'needs_review'
      AND (coalesce(cancel_requested_at, 'infinity') < now() - :unknown
           OR cancel_requested_at IS NULL AND expires_at < now() - :due)
    """,
    level="warning",
)

_DELIVERIES = Invariant(
    "events are delivered",
    "Every event has a delivery for every endpoint that asked for it.",
    "events",
    """
    SELECT e.id, format('%s has no delivery for %s', e.type, w.id) AS detail
    FROM webhook_endpoints w
    JOIN events e ON e.created_at > w.subscribed_at + :fan_out AND (
        e.type = ANY (w.event_types)
        OR cardinality(w.event_types) = 0 AND e.type NOT IN ('charge.pending', 'refund.pending')
    )
    WHERE w.state = 'enabled' AND (e.type <> 'ping' OR e.object_id = w.id)
      AND (w.producer IS NULL OR e.producer IN (w.producer, '*')) AND NOT EXISTS (
        SELECT FROM deliveries d WHERE d.event_id = e.id AND d.endpoint_id = w.id
    )
    """,
)

_DELIVERED = Invariant(
    "delivered means accepted",
    "What counts as delivered was answered with a 2xx.",
    "deliveries",
    """
    SELECT d.event_id AS id, format('delivered to %s, which never said so', d.endpoint_id) AS detail
    FROM deliveries d WHERE d.state = 'delivered' AND NOT EXISTS (
        SELECT FROM delivery_attempts a
        WHERE a.delivery_id = d.id AND a.status_code BETWEEN 200 AND 299
    )
    """,
)

_DELIVERIES_DUE = Invariant(
    "due webhooks are sent",
    "What is due at an enabled endpoint is posted soon.",
    "deliveries",
    """
    SELECT d.event_id AS id, format('due at %s since %s', d.endpoint_id, d.next_attempt_at)
           AS detail
    FROM deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint_id
    WHERE d.state = 'pending' AND w.state = 'enabled' AND d.next_attempt_at < now() - :due
    """,
    level="warning",
)

_GIVEN_UP_WITH_ENDPOINTS = Invariant(
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

_GIVEN_UP = Invariant(
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
    _EVENTS_NUMBERED,
    _EVENTS_TELL,
    _LEASES,
    _NOT_FORGOTTEN,
    _DUE,
    _UNKNOWN,
    _ENDED,
    _DELIVERIES,
    _DELIVERED,
    _DELIVERIES_DUE,
    _GIVEN_UP_WITH_ENDPOINTS,
    _GIVEN_UP,
    _QUARANTINE,
)
