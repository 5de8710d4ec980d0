"""The leases of all drainers of a process: renewed and checked together."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from payments.webhooks.draining import drains


@dataclass(frozen=True, slots=True)
class Alive:
    """A running drainer: how many deliveries it has claimed, whether it is full, so that it need
    not be notified, and whether it can be notified without the broker."""

    endpoint_id: str
    token: UUID
    held: int
    is_full: bool
    is_listening: bool = False


def renew(connection: Connection, drainers: Sequence[Alive]) -> None:
    """Renew the leases of these drainers that still have them."""
    ordered = sorted(drainers, key=lambda one: one.endpoint_id)
    connection.execute(
        _RENEW,
        {
            "ids": [one.endpoint_id for one in ordered],
            "tokens": [one.token for one in ordered],
            "full": [one.is_full for one in ordered],
            "listening": [one.is_listening for one in ordered],
            "lease_s": drains.LEASE_S,
        },
    )


def with_more_due(connection: Connection, drainers: Sequence[Alive]) -> list[str]:
    """The endpoints with more due than their drainers have claimed: their wake-ups were lost, or a
    delivery's time has come. One index probe each."""
    given = {
        "ids": [one.endpoint_id for one in drainers],
        "held": [one.held for one in drainers],
    }
    return list(connection.execute(_WITH_MORE_DUE, given).scalars())


# --- The statements. In SQL: each is one statement, and reads better as such. ---

# SKIP LOCKED: a drainer whose row is locked is renewing its lease itself just now.
_RENEW = text("""
    UPDATE webhook_endpoints e
    SET drain_expires_at = now() + :lease_s * interval '1 second', drain_is_full = a.is_full,
        drain_is_listening = a.is_listening
    FROM unnest(CAST(:ids AS text[]), CAST(:tokens AS uuid[]), CAST(:full AS boolean[]),
                CAST(:listening AS boolean[]))
         AS a (id, token, is_full, is_listening)
    WHERE e.id = a.id AND e.drain_token = a.token AND e.id IN (
        SELECT id FROM webhook_endpoints WHERE id = ANY (CAST(:ids AS text[]))
        FOR NO KEY UPDATE SKIP LOCKED)
""")

# What a drainer has claimed is pending and due, so one more than that is new.
_WITH_MORE_DUE = text("""
    SELECT a.id FROM unnest(CAST(:ids AS text[]), CAST(:held AS integer[])) AS a (id, held)
    CROSS JOIN LATERAL (
        SELECT FROM (VALUES (false), (true)) AS kind (is_replay)
        CROSS JOIN LATERAL (
            SELECT FROM deliveries d
            WHERE d.endpoint_id = a.id AND d.state = 'pending' AND d.is_replay = kind.is_replay
              AND d.next_attempt_at <= now()
            LIMIT a.held + 1) due
        OFFSET a.held LIMIT 1) more
""")
