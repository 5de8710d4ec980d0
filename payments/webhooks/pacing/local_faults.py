"""Faults on our side: webhooks that could not be sent for a reason that no receiver can fix.

If our resolver doesn't answer, our network has no route or our process has no sockets left, the
whole endpoint is held back for some seconds, and what is due stays due. A bug in our code concerns
one delivery, and delays only that. None of this counts as an attempt, for the breaker, or towards
the days after which an endpoint is disabled. The fault is shown on the endpoint, for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, text

from payments.webhooks.draining.together import LOCKED, Locked
from payments.webhooks.pacing.local_words import INTERNAL

# An endpoint is held back for this long, plus up to this share: hundreds of them that met the same
# fault must not all come back together.
HOLD_S, JITTER = 5.0, 1.0
# A delivery that met a bug waits for a tenth of its age, within these bounds: it may stay for days.
PUT_OFF_MIN_S, PUT_OFF_MAX_S = 5.0, 300.0
# A fault is shown for this long after its last occurrence. More than PUT_OFF_MAX_S, so that one
# that lasts is shown all the time.
TOLD_S = 600.0


@dataclass(frozen=True, slots=True)
class Met:
    """A fault that the drainer with this lease met: a word of `local_words.LOCAL`, and for a bug
    the deliveries that met it. `dice` is in [0, 1)."""

    endpoint_id: str
    token: UUID
    word: str
    delivery_ids: Sequence[int]
    dice: float


def note(
    connection: Connection, items: Sequence[Met], *, waits: bool
) -> list[Literal[Locked.LOCKED] | None]:
    """Delay what met a fault on our side. Nothing is written if another drainer has the lease."""
    return [_noted(connection, one, waits=waits) for one in items]


def _noted(connection: Connection, met: Met, *, waits: bool) -> Literal[Locked.LOCKED] | None:
    is_bug = met.word == INTERNAL
    given = {
        "endpoint_id": met.endpoint_id,
        "token": met.token,
        "word": met.word,
        "hold_s": None if is_bug else HOLD_S * (1 + JITTER * met.dice),
        "ids": list(met.delivery_ids) if is_bug else [],
        "least": PUT_OFF_MIN_S,
        "most": PUT_OFF_MAX_S,
    }
    is_written = connection.execute(_NOTE[waits], given).first() is not None
    # A lost lease looks like a locked row at first: asked for alone, no row is found.
    return None if is_written or waits else LOCKED


# The time of failing does not grow while it is held back for our fault.
_NOTES = """
    WITH locked AS MATERIALIZED (
        SELECT id, now() + CAST(:hold_s AS float) * interval '1 second' AS hold_until
        FROM webhook_endpoints
        WHERE id = :endpoint_id AND drain_token = :token
        FOR NO KEY UPDATE %s
    ), e AS (
        UPDATE webhook_endpoints w
        SET local_fault = :word, local_fault_at = now(),
            held_back_because = CASE
                WHEN hold_until IS NULL OR w.held_back_until > hold_until THEN w.held_back_because
                ELSE 'local_fault' END,
            held_back_until = greatest(w.held_back_until, hold_until),
            failing_since = w.failing_since + coalesce(hold_until - now(), interval '0')
        FROM locked WHERE w.id = locked.id
        RETURNING w.id
    ), put_off AS (
        UPDATE deliveries d
        SET next_attempt_at = now() + least(
            greatest((now() - d.created_at) / 10, CAST(:least AS float) * interval '1 second'),
            CAST(:most AS float) * interval '1 second')
        FROM e
        WHERE d.id = ANY (CAST(:ids AS bigint[])) AND d.endpoint_id = e.id AND d.state = 'pending'
    )
    SELECT id FROM e
"""
_NOTE = {False: text(_NOTES % "SKIP LOCKED"), True: text(_NOTES % "")}
