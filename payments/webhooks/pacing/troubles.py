"""The health of an endpoint, in its row: what failed lately, and until when it is held back.

Written by its drainer, and only if something fails or did: a healthy endpoint costs nothing. It
uses the database's clock, so that all processes agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, and_, bindparam, case, func, literal, select, text, update

from models import Delivery, WebhookEndpoint
from models.base import as_rows, table_of
from models.rows import columns_of
from payments.transaction import Transaction
from payments.webhooks.draining.together import LOCKED, Locked
from payments.webhooks.pacing.breaker import Standing, Tally, judged

# The values of a row without a history, as when a person enables it or changes its URL.
AFRESH: Mapping[str, Any] = {
    "held_back_until": None,
    "held_back_because": None,
    "back_offs": 0,
    "counted_since": None,
    "counted": 0,
    "counted_failed": 0,
    "failing_since": None,
    "has_given_up": False,
    "warned_at": None,
}


@dataclass(frozen=True, slots=True)
class Note:
    """The results of some attempts, for the drainer with this lease. `dice` is in [0, 1)."""

    endpoint_id: str
    token: UUID
    tally: Tally
    dice: float


def note(
    connection: Connection, items: Sequence[Note], *, waits: bool
) -> list[Literal[Locked.LOCKED] | None]:
    """Count the results of attempts at these endpoints, and hold back those that fail. Nothing is
    written if another drainer has the lease by now.

    The row is only overwritten if it is as it was when it was judged: if a person changed it in
    between (enabling an endpoint clears its history), it is read and judged again.
    """
    left = list(items)
    while left:
        left = _noted(connection, left, waits=waits)
        if not waits and left:
            again = {one.endpoint_id for one in left}
            return [LOCKED if one.endpoint_id in again else None for one in items]
    return [None] * len(items)


def _noted(connection: Connection, items: Sequence[Note], *, waits: bool) -> list[Note]:
    """Which of them are to be noted again."""
    given = {"ids": [n.endpoint_id for n in items], "tokens": [n.token for n in items]}
    stood = {row.id: row for row in connection.execute(_READ, given)}
    ours = [one for one in items if one.endpoint_id in stood]
    if not ours:
        return []
    standings = []
    for one in ours:
        row = stood[one.endpoint_id]
        now = asdict(judged(_standing(row), one.tally, dice=one.dice))
        standings.append({"id": one.endpoint_id, "token": one.token, "was": row.was, **now})
    found = connection.execute(_WRITE[waits], {"standings": as_rows(standings)})
    written = set(found.scalars())
    # If the lease was lost between the two, no row is found then.
    return [one for one in ours if one.endpoint_id not in written]


def _standing(row: Any) -> Standing:
    columns = columns_of(row)
    del columns["id"], columns["was"]
    return Standing(**columns)


def probe(transaction: Transaction, endpoint_id: str, delivery_id: int | None = None) -> None:
    """Post to it at once, even if it is held back: one post, of this delivery if one is given,
    tests whether it is back.

    Earlier failures are not cleared: otherwise a person who probes now and then would keep a dead
    endpoint from being held back, and from ever being disabled. The caller has locked the endpoint.
    """
    is_doubtful = bool(transaction.execute(_PROBE, {"its_id": endpoint_id}).scalar_one())
    if is_doubtful and delivery_id is not None:
        transaction.execute(_FIRST, {"its_id": endpoint_id, "number": delivery_id})
    transaction.wakes.endpoints.add(endpoint_id)


_endpoints = table_of(WebhookEndpoint)
# A fault on our side counts for nothing here, either.
_is_left_alone = and_(
    _endpoints.c.held_back_until > func.now(),
    _endpoints.c.held_back_because.is_distinct_from("local_fault"),
)
_PROBE = (
    update(_endpoints)
    .where(_endpoints.c.id == bindparam("its_id"))
    .values(
        held_back_until=None,
        held_back_because=None,
        back_offs=case(
            (_is_left_alone, func.greatest(_endpoints.c.back_offs, 1)), else_=_endpoints.c.back_offs
        ),
    )
    .returning(_endpoints.c.back_offs)
)
# In front of everything that waits, in the order of a claim.
_waiting = table_of(Delivery).alias()
_before_all = (
    select(func.min(_waiting.c.next_attempt_at) - timedelta(microseconds=1))
    .where(
        _waiting.c.endpoint_id == bindparam("its_id"),
        _waiting.c.state == literal("pending", literal_execute=True),
        _waiting.c.is_replay.is_(False),
    )
    .scalar_subquery()
)
_FIRST = (
    update(table_of(Delivery))
    .where(table_of(Delivery).c.id == bindparam("number"))
    .values(next_attempt_at=func.least(func.now(), _before_all))
)
# Its health as one text, to check that it is still what was judged.
_WAS = """
    CAST(ROW(e.counted_since, e.counted, e.counted_failed, e.failing_since, e.has_given_up,
             e.back_offs, e.held_back_until, e.held_back_because) AS text)
"""
_READ = text(f"""
    SELECT e.id, {_WAS} AS was,
           extract(epoch FROM now() - counted_since)::float AS counted_ago_s,
           counted, counted_failed,
           extract(epoch FROM now() - failing_since)::float AS failing_ago_s, has_given_up,
           back_offs,
           greatest(0, extract(epoch FROM held_back_until - now()))::float AS held_back_s,
           held_back_because
    FROM unnest(CAST(:ids AS text[]), CAST(:tokens AS uuid[])) AS a (id, token)
    JOIN webhook_endpoints e ON e.id = a.id AND e.drain_token = a.token
""")  # noqa: S608  # no part of it is given
_WRITES = f"""
    WITH s AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:standings AS json)) AS s (
            id text, token uuid, was text, counted_ago_s float, counted integer,
            counted_failed integer, failing_ago_s float, has_given_up boolean, back_offs integer,
            held_back_s float, held_back_because text)
    ), locked AS MATERIALIZED (
        SELECT e.id FROM s JOIN webhook_endpoints e ON e.id = s.id AND e.drain_token = s.token
        WHERE {_WAS} = s.was
        ORDER BY e.id
        FOR NO KEY UPDATE OF e %s
    )
    UPDATE webhook_endpoints e
    SET counted_since = now() - s.counted_ago_s * interval '1 second',
        counted = s.counted, counted_failed = s.counted_failed,
        failing_since = CASE WHEN s.failing_ago_s IS NULL THEN NULL
            ELSE coalesce(e.failing_since, now() - s.failing_ago_s * interval '1 second') END,
        has_given_up = s.has_given_up,
        warned_at = CASE WHEN s.failing_ago_s IS NOT NULL THEN e.warned_at END,
        back_offs = s.back_offs,
        held_back_until = CASE WHEN s.held_back_because IS NOT NULL
            THEN now() + s.held_back_s * interval '1 second' END,
        held_back_because = s.held_back_because
    FROM s JOIN locked ON locked.id = s.id
    WHERE e.id = s.id
    RETURNING e.id
"""  # noqa: S608  # likewise
# Skipped rows are asked for again, alone.
_WRITE = {False: text(_WRITES % "SKIP LOCKED"), True: text(_WRITES % "")}
