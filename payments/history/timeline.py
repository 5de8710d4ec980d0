"""Everything that happened to a payment or a price, in order: the answer to "what happened?"."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from infra.billing.contract.ids import is_id, is_price_id
from infra.billing.contract.objects.explanations import WHAT
from models import RejectedRequest
from models.base import table_of
from models.rows import RejectedRow
from payments.access import audit_log
from payments.access.scopes import OPERATOR, READ, Access
from payments.catalog import history
from payments.history import search
from payments.history.identifiers import EACH_MAX, ONE_OF_MANY, named
from payments.history.payment_entries import of_payments
from payments.history.webhook_entries import (
    event_with,
    events_of,
    of_endpoints,
    of_events,
    of_gone,
)
from payments.kinds import KINDS, Kind
from payments.lifecycle.payment_queries import get
from payments.payment_errors import InvalidRequest, NotFound
from payments.processors.statements import Statements
from payments.timeline_entries import Entry, facts_of
from payments.transaction import read


def of(
    connection: Connection, kind: Kind, id_: str, *, statements: Statements, access: Access
) -> list[Entry]:
    """The timeline of a charge or a refund, as far as `access` sees it. Raises NotFound."""
    get(connection, kind, id_, access=access)
    return timeline(connection, id_, statements=statements, access=access)


def timeline(
    connection: Connection,
    id_or_key: str,
    *,
    statements: Statements,
    producer: str | None = "default",
    access: Access = OPERATOR,
) -> list[Entry]:
    """The timeline of the object with this id (`ch_…`, `re_…`, `prod_…`, `price_…`, `evt_…`,
    `rej_…`, `we_…`), or of what `producer` (None: any) requested under this idempotency key,
    reference, customer, processor's reference or request id (`payments.history.identifiers`).
    Raises NotFound.

    A key may name a charge, a refund, a product and a price, and a lookup key a price, too: the
    timeline includes all of them, and refusals under the same key. Deliveries to endpoints that
    `access` doesn't see are left out.
    """
    meant = named(connection, id_or_key, producer=producer)
    ids = meant.ids
    entries = [*of_payments(connection, ids, statements)]
    if not entries:  # perhaps an amount, or words of metadata
        ids = [*ids, *_found(connection, id_or_key, producer)]
        entries += of_payments(connection, ids, statements)
    priced = [*ids, *history.with_key(connection, id_or_key)]
    entries += history.of_products(connection, ids)
    entries += history.of_prices(connection, priced)
    entries += _of_rejections(connection, [*ids, id_or_key])
    entries += of_endpoints(connection, ids)
    entries += _of_actions(connection, ids)
    # If the price has been deleted, they are all that is left of it.
    of_prices = history.latest_events(connection, [id_ for id_ in priced if _has_many_events(id_)])
    if not entries and not of_prices and (event := event_with(connection, id_or_key)):
        return list(of_events(connection, event, access))  # about an endpoint, such as a ping
    if not entries and not of_prices:
        of_whom = "" if producer is None else f" of the producer {producer!r}"
        raise NotFound(
            "nothing is known under this id, idempotency key, reference, customer, reference of the"
            f" processor, or request id{of_whom}{ONE_OF_MANY if meant.is_part else ''}",
            param="id_or_key",
        )
    others = {entry.object_id for entry in entries if not _has_many_events(entry.object_id)}
    entries += history.left_out(of_prices)
    events = [*events_of(connection, others), *of_prices]
    entries += of_gone(connection, events, others)
    entries += of_events(connection, events, access)
    # What a request led to in its own transaction has the moment at which that began, a little
    # before the request was written: it is shown after the request, at the request's moment. The
    # first request of an object counts, as a cancellation is one, too. The same goes for disputes.
    asked_at: dict[str, datetime] = {}
    for entry in entries:
        if entry.what in ("request", "dispute"):
            asked_at.setdefault(entry.object_id, entry.at)
    shown = [replace(e, at=max(e.at, asked_at.get(e.object_id, e.at))) for e in entries]
    return sorted(shown, key=lambda entry: (entry.at, WHAT.index(entry.what)))


def _found(connection: Connection, wanted: str, producer: str | None) -> list[str]:
    """The newest charges and refunds that a search finds."""
    access = OPERATOR if producer is None else Access(producer, frozenset({READ}))
    try:
        page = search.search(connection, wanted, access=access, limit=EACH_MAX)
    except InvalidRequest:  # too long for a search, and not an id either
        return []
    return [one.id for one in page.found if one.type in KINDS]


def _of_actions(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """What people and keys did to endpoints and keys; other objects have that in their own
    histories."""
    for id_ in ids:
        if id_.startswith(_ACTED_ON):
            for row in audit_log.page(connection, filters={"object_id": id_}).rows:
                why = f": {row.reason}" if row.reason else ""
                text = f"{row.action} by {row.actor} ({row.door}){why}"
                yield Entry(row.created_at, "action", id_, text, facts_of(row, "actor", "action"))


def _has_many_events(id_: str) -> bool:
    """Whether only its latest events are shown: it may have a million."""
    return is_price_id(id_) or is_id(id_, "we_")


def _of_rejections(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    """The refusals with these ids, or of requests that would have created objects with these
    ids."""
    for row in read(connection, RejectedRow, _REJECTIONS, {"ids": ids}):
        yield _rejection(row)


def _rejection(row: RejectedRow) -> Entry:
    text = f"{row.task} refused ({row.code}): {row.detail}"
    facts = facts_of(row, "code", "param", "task_id", "request")
    return Entry(row.created_at, "rejection", row.id, text, facts)


_ACTED_ON = ("we_", "key_")

# --- The statement, built once ---

_rejected = table_of(RejectedRequest)
_ids_given = bindparam("ids", type_=ARRAY(String))
_REJECTIONS = (
    select(_rejected)
    .where(
        (_rejected.c.object_id == func.any(_ids_given)) | (_rejected.c.id == func.any(_ids_given))
    )
    .order_by(_rejected.c.created_at)
)
