"""The database calls of drains: the lease of an endpoint, what is due, the results of posts.

Each call serves many endpoints at once, so that they share the cost of its statement.

There is one drainer per endpoint. It holds a lease on the endpoint, by the database's clock, with a
token that fences everything it writes. Deliveries stay `pending` while they are posted: a drainer
that dies leaves nothing to repair, and what it had not recorded is posted again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection

from models.base import as_rows
from payments.webhooks import headers
from payments.webhooks.draining import drain_statements
from payments.webhooks.draining.together import LOCKED, Locked

# Renewed with each batch, and for all drainers of a process well before it ends (`leases`). After
# its end another drainer may take over; one that was paused resumes if no other has taken the
# lease.
LEASE_S = 10.0


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery to make: the event's id and exact body, and the number of the attempt.

    `sequence` is its number at the endpoint, the same in every attempt.
    """

    delivery_id: int
    number: int
    event_id: str
    body: bytes
    sequence: int
    # Attempts before the last replay: the schedule counts those since.
    attempts_before: int = 0
    trigger: str = "scheduled"  # why it is due: `models.webhooks.DeliveryAttempt`
    is_replay: bool = False
    # When its event was committed, on the scale of this process's `time.monotonic`.
    committed_at: float = 0.0
    # The trace of the request that created its object, if tracing is on; and whether to send it to
    # the endpoint.
    traceparent: str | None = None
    is_forwarded: bool = False
    endpoint_id: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """The result of one attempt. `retry_in_s` is None if the delivery is finished."""

    delivery_id: int
    number: int
    state: str
    retry_in_s: float | None
    # Seconds from the start of the attempt until now; the database's clock gives the moment.
    started_ago_s: float
    duration_ms: int
    status_code: int | None
    error: str | None
    remote_ip: str | None
    response_body: str | None
    # As it was when the delivery was claimed.
    attempts_before: int = 0
    trigger: str = "scheduled"
    # The durations of its phases; None for a phase that did not take place.
    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None
    response_headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DrainBatch:
    """The endpoint as it is now, how many records were written, and what is due."""

    url: str
    secrets: tuple[str, ...]
    # Its own headers; their values are credentials, sealed like the secrets.
    headers: Mapping[str, str]
    # `user:password` for its URL, also sealed.
    url_credentials: str | None
    max_in_flight: int
    # Webhooks per second, and the seconds until the next is allowed.
    rate_limit: int | None
    next_post_in_s: float
    retry_schedule: tuple[int, ...] | None
    is_enabled: bool
    # Whether it is held back now; whether attempts failed lately; how often in a row it was held
    # back for failures.
    is_held_back: bool
    is_watched: bool
    back_offs: int
    recorded: int
    due: list[Due]
    # Whether there is probably more: as many were found as were wanted, or a delivery need no
    # longer wait for an earlier event of its object. None = nothing was wanted.
    has_more: bool | None
    has_more_replays: bool | None


@dataclass(frozen=True, slots=True)
class Drained:
    """The result of a drain. `more` = its time was up before everything due was posted."""

    delivered: int = 0
    retried: int = 0
    exhausted: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """Take the lease of an endpoint, and the first batch of the size given (as in NextBatch)."""

    endpoint_id: str
    token: UUID
    wanted: int
    wanted_replays: int = 0
    places: int = 1
    traced: bool = False
    is_listening: bool = False


@dataclass(frozen=True, slots=True)
class NextBatch:
    """Record, renew the lease (take it if this `begins`, or give it back), and claim up to `wanted`
    due deliveries and `wanted_replays` replayed ones.

    `held` are the ids that this drainer has claimed already. `next_post_in_s` is when the rate
    limit allows the next webhook, for the next drainer. `places` is how many posts it could begin:
    once that many are claimed, it need not be notified of more. `traced`: each delivery includes
    its trace. `is_listening`: it can be notified without the broker (`listening`).
    """

    endpoint_id: str
    token: UUID
    begins: bool = False
    records: Sequence[Record] = ()
    held: Sequence[int] = ()
    wanted: int = 0
    wanted_replays: int = 0
    releasing: bool = False
    next_post_in_s: float | None = None
    places: int = 1
    traced: bool = False
    is_listening: bool = False


def begin(
    connection: Connection, items: Sequence[Begin], *, waits: bool
) -> list[DrainBatch | Literal[Locked.LOCKED] | None]:
    """The first batch of each; None if there is another drainer, or nothing is due, or the endpoint
    is disabled or held back."""
    batches = [
        NextBatch(
            one.endpoint_id,
            one.token,
            begins=True,
            wanted=one.wanted,
            wanted_replays=one.wanted_replays,
            places=one.places,
            traced=one.traced,
            is_listening=one.is_listening,
        )
        for one in items
    ]
    return next_batches(connection, batches, waits=waits)


def next_batches(
    connection: Connection, items: Sequence[NextBatch], *, waits: bool
) -> list[DrainBatch | Literal[Locked.LOCKED] | None]:
    """The next batch of each; None = another drainer has the lease by now, and nothing was
    written."""
    found = _found(connection, items, waits=waits)
    # Read again what changed while its row's lock was waited for: no other endpoint waits with it.
    while waits and (changed := [one for one in items if found[one.endpoint_id][0].has_changed]):
        found |= _found(connection, changed, waits=waits)
    return [_batch(one, found[one.endpoint_id], waits=waits) for one in items]


def _found(
    connection: Connection, items: Sequence[NextBatch], *, waits: bool
) -> dict[str, list[Any]]:
    """The rows of each endpoint, at least one for each."""
    given = {"asked": _asked(items), "records": _records(items), "lease_s": LEASE_S}
    rows = connection.execute(drain_statements.NEXT_BATCHES[waits], given).all()
    return {id_: list(group) for id_, group in groupby(rows, attrgetter("endpoint_id"))}


def _batch(
    asked: NextBatch, rows: Sequence[Any], *, waits: bool
) -> DrainBatch | Literal[Locked.LOCKED] | None:
    first = rows[0]
    if not first.is_ours:
        return LOCKED if first.was_ours and not waits else None
    now = time.monotonic()
    return DrainBatch(
        url=first.url,
        secrets=tuple(first.secrets),
        headers=headers.kept(first.header_names, first.header_values),
        url_credentials=first.url_credentials,
        max_in_flight=first.max_in_flight,
        rate_limit=first.rate_limit,
        next_post_in_s=first.next_post_in_s,
        retry_schedule=first.retry_schedule and tuple(first.retry_schedule),
        is_enabled=first.is_enabled,
        is_held_back=first.is_held_back,
        is_watched=first.is_watched,
        back_offs=first.back_offs,
        recorded=first.recorded,
        has_more=first.has_let_pass or _is_more(first.looked_at, asked.wanted),
        has_more_replays=(
            first.has_let_pass or _is_more(first.looked_at_replays, asked.wanted_replays)
        ),
        due=[
            Due(
                row.delivery_id,
                row.attempts + 1,
                row.event_id,
                row.body.encode(),
                row.sequence,
                row.attempts_before,
                row.trigger,
                row.is_replay,
                now - row.age_s,
                row.traceparent,
                row.is_forwarding,
                asked.endpoint_id,
            )
            for row in rows
            if row.delivery_id is not None
        ],
    )


def are_due(connection: Connection, items: Sequence[str], *, waits: bool) -> list[bool]:
    """Whether each of these endpoints is enabled and has deliveries that could be made now. Never
    waits for a lock."""
    found = set(connection.execute(drain_statements.ARE_DUE, {"ids": list(items)}).scalars())
    return [id_ in found for id_ in items]


def due_endpoints(connection: Connection, *, limit: int = 1000) -> list[str]:
    """Endpoints with something due and no live drainer, noted as woken now.

    For the sweep: endpoints that were woken within the last second are left out, as their drainers
    are probably about to start. One index probe per endpoint, however many deliveries are finished.
    """
    return list(connection.execute(drain_statements.DUE_ENDPOINTS, {"limit": limit}).scalars())


def _is_more(found: int, wanted: int) -> bool | None:
    return found >= wanted if wanted else None


def _asked(items: Sequence[NextBatch]) -> str:
    return as_rows([{name: getattr(one, name) for name in _ASKED} for one in items])


def _records(items: Sequence[NextBatch]) -> str:
    given = [
        {"endpoint_id": one.endpoint_id, **{name: getattr(r, name) for name in Record.__slots__}}
        for one in items
        for r in one.records
    ]
    # In the order of ids, so that all statements lock shared rows in the same order.
    return as_rows(sorted(given, key=itemgetter("delivery_id")))


_ASKED = [name for name in NextBatch.__slots__ if name != "records"]
