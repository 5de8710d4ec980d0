"""The statements of a drain: who drains an endpoint, what is due there, and what came of it.

One drainer per endpoint. It holds a lease on the endpoint, by the database's clock, with a token
that fences everything it writes. Deliveries stay `pending` while they are posted: a drainer that
dies leaves nothing behind that needs repair, and what it had not recorded is posted again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

# A drainer asks for its next batch at least once a second, which renews the lease. Past it, another
# takes over; a drainer that was paused resumes if no other has taken the lease.
LEASE_S = 10.0


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery to make: the event's id and exact body, and which attempt it will be."""

    delivery_id: int
    number: int
    event_id: str
    body: bytes
    # How many attempts were before the last replay: the schedule counts those since.
    attempts_before: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What came of one attempt. `retry_in_s` is None when the delivery is finished."""

    delivery_id: int
    number: int
    state: str
    retry_in_s: float | None
    # Seconds between the start of the attempt and now: the database's clock tells when that was.
    started_ago_s: float
    duration_ms: int
    status_code: int | None
    error: str | None
    remote_ip: str | None
    response_body: str | None
    # As it was when the delivery was claimed.
    attempts_before: int = 0


@dataclass(frozen=True, slots=True)
class DrainBatch:
    """The endpoint as it is now, how many records were written, and what is due."""

    url: str
    secrets: tuple[str, ...]
    max_in_flight: int
    is_enabled: bool
    recorded: int
    due: list[Due]


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did. `more` = its time was up before everything due was posted."""

    delivered: int = 0
    retried: int = 0
    exhausted: int = 0
    more: bool = False


def begin(
    connection: Connection, endpoint_id: str, token: UUID, *, wanted: int
) -> DrainBatch | None:
    """Take the endpoint and the first batch; None when it can't be taken."""
    if not take(connection, endpoint_id, token):
        return None
    # A statement of its own, because it must see what the last drainer committed.
    return next_batch(connection, endpoint_id, token, wanted=wanted)


def take(connection: Connection, endpoint_id: str, token: UUID) -> bool:
    """Become the endpoint's drainer. False when there is another, or nothing is due, or it is
    disabled."""
    taken = connection.execute(
        _TAKE, {"endpoint_id": endpoint_id, "token": token, "lease_s": LEASE_S}
    )
    return taken.first() is not None


def next_batch(
    connection: Connection,
    endpoint_id: str,
    token: UUID,
    *,
    records: Sequence[Record] = (),
    held: Sequence[int] = (),
    wanted: int = 0,
    releasing: bool = False,
) -> DrainBatch | None:
    """Record, renew the lease (or give it back), and claim up to `wanted` due deliveries.

    `held` are the ids that this drainer knows already. None = the lease is somebody else's by
    now: nothing was written.
    """
    rows = connection.execute(
        _NEXT_BATCH,
        {
            "endpoint_id": endpoint_id,
            "token": token,
            "lease_s": LEASE_S,
            "releasing": releasing,
            "records": _as_json(records),
            "held": list(held),
            "wanted": wanted,
        },
    ).all()
    if not rows:
        return None
    first = rows[0]
    return DrainBatch(
        url=first.url,
        secrets=tuple(first.secrets),
        max_in_flight=first.max_in_flight,
        is_enabled=first.is_enabled,
        recorded=first.recorded,
        due=[
            Due(
                row.delivery_id,
                row.attempts + 1,
                row.event_id,
                row.body.encode(),
                row.attempts_before,
            )
            for row in rows
            if row.delivery_id is not None
        ],
    )


def is_anything_due(connection: Connection, endpoint_id: str) -> bool:
    """Whether an enabled endpoint has deliveries that could be made now."""
    return bool(connection.execute(_IS_DUE, {"endpoint_id": endpoint_id}).scalar())


def due_endpoints(connection: Connection, *, limit: int = 1000) -> list[str]:
    """Endpoints with something due and no live drainer, noted as woken now.

    For the sweep: whoever was woken within the last second is left out, as its drainer is
    probably on the way. One index probe per endpoint, however many deliveries are finished.
    """
    return list(connection.execute(_DUE_ENDPOINTS, {"limit": limit}).scalars())


def _as_json(records: Sequence[Record]) -> str:
    # In the order of ids, so that statements lock the rows they share in one order.
    ordered = sorted(records, key=lambda record: record.delivery_id)
    return json.dumps([{name: getattr(r, name) for name in Record.__slots__} for r in ordered])


# --- The statements. In SQL: each is one sentence, and reads better as such. ---

_TAKE = text("""
    UPDATE webhook_endpoints e
    SET drain_token = :token, drain_expires_at = now() + :lease_s * interval '1 second'
    WHERE e.id = :endpoint_id
      AND e.state = 'enabled'
      AND (e.drain_token IS NULL OR e.drain_token = :token OR e.drain_expires_at < now())
      AND (SELECT true FROM deliveries d
           WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_attempt_at <= now()
           LIMIT 1)
    RETURNING e.id
""")

# The update of the endpoint's row is the fence: it finds no row when the token is another's, then
# nothing below it finds any, and it keeps others from taking over until this is committed.
#
# However many deliveries wait, a batch reads those it takes. Nothing here must look as if reading
# all of them were cheap, even to a planner whose statistics are from before an outage: records find
# their deliveries by primary key alone, the order is the index's own, the limit is hidden.
#
# What moves under a post while it is made: an endpoint that is deleted gets no second try, and a
# delivery that is replayed stays due, as the answer that failed is the answer to an earlier post.
_NEXT_BATCH = text("""
    WITH e AS (
        UPDATE webhook_endpoints
        SET drain_token = CASE WHEN NOT :releasing THEN drain_token END,
            drain_expires_at =
                CASE WHEN NOT :releasing THEN now() + :lease_s * interval '1 second' END
        WHERE id = :endpoint_id AND drain_token = :token
        RETURNING id, url, max_in_flight, state,
                  CASE WHEN older_secrets_until > now() THEN secrets
                       ELSE secrets[1:1] END AS secrets
    ), records AS (
        SELECT * FROM json_to_recordset(CAST(:records AS json)) AS r (
            delivery_id bigint, number integer, state text, retry_in_s float,
            started_ago_s float, duration_ms integer, status_code integer, error text,
            remote_ip text, response_body text, attempts_before integer)
    ), moved AS (
        UPDATE deliveries d
        SET state = CASE WHEN r.state = 'delivered' THEN 'delivered'
                         WHEN e.state = 'deleted' THEN 'exhausted'
                         WHEN d.attempts_before > r.attempts_before THEN 'pending'
                         ELSE r.state END,
            attempts = r.number,
            next_attempt_at =
                CASE WHEN r.state = 'delivered' OR e.state = 'deleted' THEN NULL
                     WHEN d.attempts_before > r.attempts_before THEN d.next_attempt_at
                     ELSE now() + r.retry_in_s * interval '1 second' END,
            finished_at =
                CASE WHEN r.state = 'delivered' OR e.state = 'deleted' THEN now()
                     WHEN d.attempts_before > r.attempts_before OR r.state = 'pending' THEN NULL
                     ELSE now() END
        FROM e, records r
        WHERE d.id = r.delivery_id AND d.attempts = r.number - 1
        RETURNING d.id
    ), kept AS (
        INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms,
                                       status_code, error, remote_ip, response_body)
        SELECT r.delivery_id, r.number, now() - r.started_ago_s * interval '1 second',
               r.duration_ms, r.status_code, r.error, r.remote_ip, r.response_body
        FROM records r JOIN moved ON moved.id = r.delivery_id
        RETURNING delivery_id
    )
    SELECT e.url, e.secrets, e.max_in_flight, e.state = 'enabled' AS is_enabled,
           (SELECT count(*) FROM kept) AS recorded,
           due.id AS delivery_id, due.attempts, due.attempts_before, due.event_id, events.body
    FROM e
    LEFT JOIN LATERAL (
        SELECT d.id, d.attempts, d.attempts_before, d.event_id, d.next_attempt_at
        FROM deliveries d
        WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_attempt_at <= now()
          AND e.state = 'enabled' AND d.id <> ALL (CAST(:held AS bigint[]))
        ORDER BY d.next_attempt_at
        LIMIT (SELECT CAST(:wanted AS bigint))
    ) due ON true
    LEFT JOIN events ON events.id = due.event_id
    ORDER BY due.next_attempt_at
""")

_IS_DUE = text("""
    SELECT EXISTS (
        SELECT FROM webhook_endpoints e, deliveries d
        WHERE e.id = :endpoint_id AND e.state = 'enabled'
          AND d.endpoint_id = e.id AND d.state = 'pending' AND d.next_attempt_at <= now())
""")

# SKIP LOCKED: an endpoint whose row is locked has a drainer at work, or another sweep.
_DUE_ENDPOINTS = text("""
    WITH due AS (
        SELECT e.id FROM webhook_endpoints e
        CROSS JOIN LATERAL (
            SELECT FROM deliveries d
            WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_attempt_at <= now()
            LIMIT 1) any_due
        WHERE e.state = 'enabled'
          AND (e.drain_expires_at IS NULL OR e.drain_expires_at < now())
          AND (e.woken_at IS NULL OR e.woken_at < now() - interval '1 second')
        ORDER BY e.woken_at NULLS FIRST
        LIMIT :limit
        FOR NO KEY UPDATE OF e SKIP LOCKED
    )
    UPDATE webhook_endpoints e SET woken_at = now() FROM due WHERE e.id = due.id
    RETURNING e.id
""")
