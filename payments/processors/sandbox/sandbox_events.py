"""The sandbox's events: written, signed, offered and read.

Like those of any processor they come at least once, late, and in any order. A fetched event is not
acknowledged, so each one is offered several times: a worker that dies with it gets it again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, case, exists, func, insert, select, update

from models.base import as_rows, given, table_of
from models.rows import SandboxRequestRow
from models.sandbox import SandboxEvent
from payments.processors import event_signatures
from payments.processors.outcomes import NotFound, Succeeded
from payments.processors.port import EventRefused, ProcessorEvent
from payments.processors.sandbox.aftermath import dispute_in, fees_of
from payments.processors.sandbox.sandbox_answers import outcome_of
from payments.processors.sandbox.verdicts import Decision
from payments.views import moment

SIGNATURE_HEADER = "sandbox-signature"
# Offered at once, again this long after the first offer, and for the last time this long after
# that.
OFFERED_AGAIN_AFTER = (timedelta(seconds=10), timedelta(minutes=1))

_EVENTS = table_of(SandboxEvent)
_NEW = given("new", [_EVENTS.c.object_id, _EVENTS.c.body])
_TELL = insert(_EVENTS).from_select(
    ["object_id", "body"], select(_NEW.c.object_id, _NEW.c.body), include_defaults=False
)

# Whether `offer` would find any.
ANY_DUE = exists().where(_EVENTS.c.next_offer_at <= func.now())
_DUE = (
    select(_EVENTS.c.id)
    .where(_EVENTS.c.next_offer_at <= func.now())
    .order_by(_EVENTS.c.next_offer_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    # A CTE is evaluated once; a subquery may be evaluated again and lock more than the limit.
    .cte("due")
)
_OFFER = (
    update(_EVENTS)
    .where(_EVENTS.c.id == _DUE.c.id)
    .values(
        offers=_EVENTS.c.offers + 1,
        next_offer_at=case(
            *(
                (_EVENTS.c.offers == n, func.now() + delay)
                for n, delay in enumerate(OFFERED_AGAIN_AFTER)
            ),
            else_=None,
        ),
    )
    .returning(_EVENTS.c.id, _EVENTS.c.body)
)


_OF_ITS_STANDING = (
    "status", "reference", "code", "processor_code", "captured", "capture_before"
)  # fmt: skip


def tell(connection: Connection, standings: Sequence[SandboxRequestRow]) -> None:
    """Write one event for each row of `sandbox_requests`, with its present state."""
    if not standings:
        return
    new_events = [{"object_id": row.object_id, "body": _body(row)} for row in standings]
    connection.execute(_TELL, {"new": as_rows(new_events)})


def offer(connection: Connection, *, limit: int) -> list[bytes]:
    """The bodies of events that are due, oldest first, each to one caller at a time."""
    rows = sorted(connection.execute(_OFFER, {"limit": limit}))
    return [row.body.encode() for row in rows]


def sign(body: bytes, *, secret: bytes, now: float) -> dict[str, str]:
    """The headers that go with `body`. `now` in Unix seconds."""
    return {SIGNATURE_HEADER: event_signatures.sign(body, secret=secret, now=now)}


def read(headers: Mapping[str, str], body: bytes, *, secret: bytes, now: float) -> ProcessorEvent:
    """The event in `body`; raises EventRefused unless it is signed, recent and well-formed."""
    given_headers = {name.lower(): value for name, value in headers.items()}
    signature = given_headers.get(SIGNATURE_HEADER, "")
    event_signatures.check(signature, body, secrets=[secret], now=now)
    try:
        # The defaults, for events from before captures existed.
        event = {"captured": 0, "capture_before": None, **json.loads(body)}
        if event["capture_before"] is not None:
            event["capture_before"] = datetime.fromisoformat(event["capture_before"])
        if event["kind"] == "dispute":
            return ProcessorEvent(event["object_id"], "dispute", dispute_in(event))
        outcome = outcome_of(Decision(**{name: event[name] for name in _OF_ITS_STANDING}))
        if event.get("tells_fees") and isinstance(outcome, Succeeded):
            outcome = replace(outcome, fees=fees_of(event["amount"], event["currency"]))
        if isinstance(outcome, NotFound) or event["kind"] not in ("charge", "refund"):
            raise EventRefused("The event tells of nothing that we could have asked for.")
        return ProcessorEvent(event["object_id"], event["kind"], outcome)
    except (ValueError, KeyError, TypeError) as error:
        raise EventRefused("The event can't be read.") from error


def _body(row: SandboxRequestRow) -> str:
    names = (
        "object_id", "kind", "status", "reference", "amount", "currency", "code", "processor_code",
        "captured",
    )  # fmt: skip
    fields = {name: getattr(row, name) for name in names}
    fields["capture_before"] = moment(row.capture_before)
    return json.dumps(fields, separators=(",", ":"))
