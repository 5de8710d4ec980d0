"""Published facts: an event row, and a delivery row for every endpoint that subscribes.

Both are written in the transaction that makes the fact true, so an event can't be forgotten, and
none exists for what was rolled back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, insert, literal, not_, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from infra.billing.contract.event_types import ONLY_BY_NAME, TO_OTHERS
from infra.billing.contract.ids import event_id
from infra.billing.contract.moments import rfc3339
from models import Delivery, Event, WebhookEndpoint
from models.base import as_rows, given, json_text, table_of
from payments.access.scopes import may_be_told_where
from payments.transaction import Transaction
from payments.writes import Write


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that just became true. `sequence` counts the facts of one object from 1.

    `producer` is the owner: EVERYBODY for what concerns the catalogue, None for what only callers
    with full access may see.
    """

    type: str
    object_id: str
    sequence: int
    data: Mapping[str, Any]
    at: datetime
    producer: str | None


def body_of(fact: Fact) -> str:
    """The webhook's body: the exact text that is stored, signed and sent."""
    return json_text(
        {
            "type": fact.type,
            "timestamp": rfc3339(fact.at),
            "sequence": fact.sequence,
            "data": fact.data,
        }
    )


def publish(transaction: Transaction, facts: Sequence[Fact]) -> None:
    """Write the events and their deliveries, and note the endpoints to wake. May be one of several
    writes that go `together`."""
    if not facts:
        return
    rows = [
        {
            "id": event_id(fact.object_id, fact.sequence),
            "type": fact.type,
            "object_id": fact.object_id,
            "sequence": fact.sequence,
            "producer": fact.producer,
            "body": body_of(fact),
        }
        for fact in facts
    ]
    transaction.write((_PUBLISH, {"facts": as_rows(rows)}))


def is_asked_for(event_type: ColumnElement[Any], event_types: ColumnElement[Any]) -> Any:
    """Whether an endpoint with these types subscribes to this type of event, as SQL."""
    return or_(
        event_type == func.any(event_types),
        and_(
            func.cardinality(event_types) == 0,
            event_type != func.all(literal(list(ONLY_BY_NAME), ARRAY(String))),
        ),
    )


def is_named_by_anybody(event_type: str, producer: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether an enabled endpoint subscribes to this type, one of ONLY_BY_NAME, and may see this
    producer's events, as SQL. Checked before such an event is written.

    Written out, not as parameters: a generic plan looks costlier than one for these values, so
    PostgreSQL would plan it anew for each charge.
    """
    if event_type not in ONLY_BY_NAME:
        raise ValueError(f"{event_type} also goes to endpoints that don't name it")
    named = literal(event_type, literal_execute=True) == func.any(_endpoints.c.event_types)
    return exists().where(_is_told(named, producer))


def _is_told(is_asked_for: ColumnElement[Any], producer: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(
        _endpoints.c.state == literal("enabled", literal_execute=True),
        is_asked_for,
        may_be_told_where(producer, _endpoints.c.producer),
    )


def has_use_for_a_call() -> ColumnElement[bool]:
    """Whether a drainer should be woken at once for this endpoint, as SQL: not while it is held
    back, nor while its drainer is fully busy and looks on its own, nor while an earlier wake-up has
    not been handled yet. If its last post failed, the sweep wakes it: hundreds of dead endpoints,
    woken for each event, would delay the working ones."""
    is_held_back = func.coalesce(_endpoints.c.held_back_until > func.now(), false())
    is_full = and_(_endpoints.c.drain_is_full, _endpoints.c.drain_expires_at > func.now())
    is_called = func.coalesce(_endpoints.c.woken_at > func.now() - timedelta(seconds=1), false())
    is_failing = _endpoints.c.failing_since.is_not(None)
    is_useless = or_(is_held_back, func.coalesce(is_full, false()), is_called, is_failing)
    return not_(is_useless).label("has_use_for_a_call")


_events, _deliveries, _endpoints = (table_of(t) for t in (Event, Delivery, WebhookEndpoint))
_columns = [_events.c[name] for name in ("id", "type", "object_id", "sequence", "producer", "body")]
_facts = given("facts", _columns)
_told = (
    insert(_events)
    .from_select([c.name for c in _columns], select(*(_facts.c[c.name] for c in _columns)))
    .returning(
        _events.c.id, _events.c.type, _events.c.producer, _events.c.object_id, _events.c.sequence
    )
    .cte("told")
)
_wanted = and_(
    _is_told(is_asked_for(_told.c.type, _endpoints.c.event_types), _told.c.producer),
    or_(
        _told.c.type != func.all(literal(list(TO_OTHERS), ARRAY(String))),
        _told.c.object_id != _endpoints.c.id,
    ),
)
_for_whom = (
    select(
        _told.c.id,
        _endpoints.c.id.label("endpoint_id"),
        _told.c.object_id,
        _told.c.sequence,
        has_use_for_a_call(),
    )
    .join_from(_told, _endpoints, _wanted)
    .cte("for_whom")
)
_written = insert(_deliveries).from_select(
    ["event_id", "endpoint_id", "object_id", "object_sequence"],
    select(*(_for_whom.c[name] for name in ("id", "endpoint_id", "object_id", "sequence"))),
    include_defaults=False,  # the table's own; the model's come out as NULL beside a CTE
)
_PUBLISH = Write(
    [_written.cte("written")],
    woken="endpoints",
    wakes=(
        select(_for_whom.c.endpoint_id.label("id")).where(_for_whom.c.has_use_for_a_call).distinct()
    ),
)
