"""Deletes what is past its retention time, in small batches, in a sweep.

Events are deleted with their deliveries and posts; posts may be deleted earlier, as receivers'
answers are the bulk of the data. Nothing is deleted that is still needed: no event of a pending
object or with an open delivery, and no message in quarantine that is neither released nor
dismissed. Charges, refunds, their attempts, prices and the sandbox's books stay: they are the
books.

Both tables that grow with every charge are walked by their key, so that charges don't pay for an
index on their age. A walk notes how far it has come, and what is gone: from that the feed and
`verify` know which history is complete (`models.heartbeats.Retention`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, false, func, or_, text

from models import Delivery, Event, QuarantinedMessage, RejectedRequest, RequestMade, Retention
from models.base import table_of
from payments.transaction import Transaction
from payments.webhooks.positions import DISORDER, Positions

# Rows that one step reads: a tenth of a second's work (docs/how-to/keep-and-erase.md has the
# figures). The sweep decides how many steps it takes in a second.
PAGE = 500
# Seconds between two walks over the same table: what became old in between is not urgent.
REST = timedelta(minutes=10)

EVENTS, POSTS = "events", "delivery_attempts"


@dataclass(frozen=True, slots=True)
class Keep:
    """For how many days each is kept; 0 = for ever."""

    events: int
    delivery_attempts: int
    rejected_requests: int
    quarantined_messages: int
    requests_made: int


@dataclass(frozen=True, slots=True)
class _Page:
    """The result of a step: the last key that it read, None at the end of the walk; how many rows
    it deleted, the last key among them, and when the newest of them was written."""

    last: int | None
    deleted: int = 0
    gone: int = 0
    gone_before: datetime | None = None


def steps(keep: Keep) -> list[Callable[[Transaction], int]]:
    """What the sweep has to do, each in its own transaction; each step returns how many rows it
    deleted."""
    walks = [
        _Walk(EVENTS, _EVENT_POSITIONS, _delete_events, keep.events, goes_back=True),
        # This walk never goes back: posts of deliveries that are still open when it passes are
        # deleted with their events.
        _Walk(POSTS, _DELIVERY_IDS, _delete_posts, keep.delivery_attempts, goes_back=False),
    ]
    return [
        *(walk.step for walk in walks if walk.days),
        *(_List(name, days).step for name, days in _listed(keep).items() if days),
    ]


def is_anything_old(keep: Keep) -> ColumnElement[bool]:
    """Whether one of `steps` has something to do: a walk to begin or to continue, or a list with
    rows past their time."""
    walks = [_is_awake(name) for name, days in _walked(keep).items() if days]
    lists = [_has_old(name, days) for name, days in _listed(keep).items() if days]
    return or_(false(), *walks, *lists)


def _walked(keep: Keep) -> dict[str, int]:
    return {EVENTS: keep.events, POSTS: keep.delivery_attempts}


def _listed(keep: Keep) -> dict[str, int]:
    return {
        "rejected_requests": keep.rejected_requests,
        "quarantined_messages": keep.quarantined_messages,
        "requests_made": keep.requests_made,
    }


@dataclass(frozen=True, slots=True)
class _List:
    """A table with an index on its age."""

    name: str
    days: int

    def step(self, transaction: Transaction) -> int:
        """Delete a page of the oldest rows."""
        given = {"kept": timedelta(days=self.days), "limit": PAGE}
        return int(transaction.execute(_OF_LISTS[self.name], given).rowcount)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A table that is walked by its key, page by page."""

    name: str
    positions: Positions
    delete: Callable[[Transaction, Mapping[str, Any]], _Page]
    days: int
    goes_back: bool

    def step(self, transaction: Transaction) -> int:
        """Delete a page; or begin a walk, if the last one was long enough ago."""
        # If the row is locked, another sweep is walking.
        row = transaction.execute(_TAKE, {"name": self.name, "rest": REST}).first()
        if row is None or (row.through is None and row.rests):
            return 0
        through = row.through if row.through is not None else self._begin(transaction, row)
        given = {
            "after": row.walked,
            "through": through,
            "kept": timedelta(days=self.days),
            "limit": PAGE,
        }
        page = self.delete(transaction, given)
        is_over = page.last is None
        note = {
            "name": self.name,
            "walked": (0 if self.goes_back else through) if is_over else page.last,
            "through": None if is_over else through,
            "gone": page.gone,
            "gone_before": page.gone_before,
        }
        transaction.execute(_NOTE, note)
        return page.deleted

    def _begin(self, transaction: Transaction, row: Row[Any]) -> int:
        until = row.now - timedelta(days=self.days)
        return max(int(row.walked), self.positions.before(transaction, until, DISORDER))


def oldest_s(connection: Connection) -> dict[str, float | None]:
    """The age of the oldest row of each table, in seconds; None if it has none. For walked tables,
    of the first row that is left."""
    return {row.name: row.age_s for row in connection.execute(_OLDEST)}


def _delete_events(transaction: Transaction, given: Mapping[str, Any]) -> _Page:
    """Delete events of a page with their deliveries, in three statements, since each must see the
    effect of the previous one. Never waits: locked rows are left for the next walk."""
    page = transaction.execute(_PAGE_OF_EVENTS, given).all()
    ids = [row.id for row in transaction.execute(_OLD_EVENTS, {**given, "ids": _ids(page)})]
    transaction.execute(_DELETE_DELIVERIES, {"ids": ids})
    gone = transaction.execute(_DELETE_EVENTS, {"ids": ids}).all()
    return _Page(
        last=page[-1].position if len(page) == given["limit"] else None,
        deleted=len(gone),
        gone=max((row.position for row in gone), default=0),
        gone_before=max((row.created_at for row in gone), default=None),
    )


def _delete_posts(transaction: Transaction, given: Mapping[str, Any]) -> _Page:
    """Delete posts of a page of finished deliveries."""
    page = transaction.execute(_PAGE_OF_DELIVERIES, given).all()
    ids = [row.id for row in page if row.is_old]
    deleted = transaction.execute(_DELETE_POSTS, {"ids": ids}).rowcount
    return _Page(
        last=page[-1].id if len(page) == given["limit"] else None,
        deleted=deleted,
        gone=max(ids, default=0),
    )


def _ids(page: Any) -> list[str]:
    return [row.id for row in page]


# --- The statements ---

_events, _deliveries = table_of(Event), table_of(Delivery)
_EVENT_POSITIONS = Positions(_events.c.position, _events.c.created_at)
_DELIVERY_IDS = Positions(_deliveries.c.id, _deliveries.c.created_at)

_retention = table_of(Retention)
# For each list, when a row became deletable.
_AGES = {
    "rejected_requests": table_of(RejectedRequest).c.created_at,
    "quarantined_messages": table_of(QuarantinedMessage).c.released_at,
    "requests_made": table_of(RequestMade).c.created_at,
}


def _is_awake(name: str) -> ColumnElement[bool]:
    """Whether a walk is under way, or its pause is over."""
    rested = func.coalesce(_retention.c.rested_at <= func.now() - REST, True)
    return exists().where(_retention.c.name == name, or_(_retention.c.through.is_not(None), rested))


def _has_old(name: str, days: int) -> ColumnElement[bool]:
    return exists().where(_AGES[name] < func.now() - timedelta(days=days))


_TAKE = text("""
    SELECT walked, through, now() AS now, coalesce(rested_at > now() - :rest, false) AS rests
    FROM retention WHERE name = :name FOR UPDATE SKIP LOCKED
""")
_NOTE = text("""
    UPDATE retention
    SET walked = :walked, through = :through, gone = greatest(gone, :gone),
        gone_before = greatest(gone_before, CAST(:gone_before AS timestamptz)),
        rested_at = CASE WHEN CAST(:through AS bigint) IS NULL THEN now() ELSE rested_at END
    WHERE name = :name
""")
_PAGE_OF_EVENTS = text("""
    SELECT id, position FROM events WHERE position > :after AND position <= :through
    ORDER BY position LIMIT :limit
""")
# Each condition is one probe of an index, written so that the planner can't choose a join that only
# looks cheaper. An endpoint's last event stays: the number of the next one comes from it.
_OLD_EVENTS = text("""
    SELECT e.id FROM events e
    WHERE e.id = ANY(:ids) AND e.created_at < now() - :kept
      AND (SELECT true FROM deliveries d WHERE d.event_id = e.id AND d.state = 'pending' LIMIT 1)
          IS NULL
      AND (SELECT true FROM charges c WHERE c.id = e.object_id AND c.state = 'pending') IS NULL
      AND (SELECT true FROM refunds r WHERE r.id = e.object_id AND r.state = 'pending') IS NULL
      AND (SELECT true FROM disputes o WHERE o.id = e.object_id AND o.closed_at IS NULL) IS NULL
      AND (NOT starts_with(e.object_id, 'we_') OR (
          SELECT true FROM events l WHERE l.object_id = e.object_id AND l.sequence > e.sequence
          LIMIT 1))
    ORDER BY e.position FOR UPDATE OF e SKIP LOCKED
""")
# An event's deliveries all go, or none: one that is being replayed stays, with the others of its
# event.
_DELETE_DELIVERIES = text("""
    WITH ours AS MATERIALIZED (
        SELECT id, event_id FROM deliveries WHERE event_id = ANY(:ids) AND state <> 'pending'
        FOR UPDATE SKIP LOCKED
    ), stays AS (
        SELECT event_id FROM deliveries
        WHERE event_id = ANY(:ids) AND id NOT IN (SELECT id FROM ours)
    )
    DELETE FROM deliveries WHERE id = ANY(ARRAY(
        SELECT id FROM ours WHERE event_id NOT IN (SELECT event_id FROM stays)))
""")
_DELETE_EVENTS = text("""
    DELETE FROM events e
    WHERE e.id = ANY(:ids)
      AND (SELECT true FROM deliveries d WHERE d.event_id = e.id LIMIT 1) IS NULL
    RETURNING e.position, e.created_at
""")
_PAGE_OF_DELIVERIES = text("""
    SELECT id, state <> 'pending' AND finished_at < now() - :kept AS is_old FROM deliveries
    WHERE id > :after AND id <= :through ORDER BY id LIMIT :limit
""")
_DELETE_POSTS = text("DELETE FROM delivery_attempts WHERE delivery_id = ANY(:ids)")
_OF_LISTS = {
    "rejected_requests": text("""
        DELETE FROM rejected_requests WHERE id = ANY(ARRAY(
            SELECT id FROM rejected_requests WHERE created_at < now() - :kept
            ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED))
    """),
    "quarantined_messages": text("""
        DELETE FROM quarantined_messages WHERE id = ANY(ARRAY(
            SELECT id FROM quarantined_messages WHERE released_at < now() - :kept
            ORDER BY released_at LIMIT :limit FOR UPDATE SKIP LOCKED))
    """),
    "requests_made": text("""
        DELETE FROM requests_made WHERE id = ANY(ARRAY(
            SELECT id FROM requests_made WHERE created_at < now() - :kept
            ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED))
    """),
}
_OLDEST = text("""
    SELECT name, extract(epoch FROM now() - oldest)::float AS age_s FROM (VALUES
        ('events', (SELECT created_at FROM events ORDER BY position LIMIT 1)),
        ('delivery_attempts', (SELECT started_at FROM delivery_attempts
                               ORDER BY delivery_id, number LIMIT 1)),
        ('rejected_requests', (SELECT min(created_at) FROM rejected_requests)),
        ('quarantined_messages', (SELECT min(released_at) FROM quarantined_messages)),
        ('requests_made', (SELECT min(created_at) FROM requests_made))
    ) AS ages (name, oldest)
""")
