"""One search box: everything that a text names, newest first.

Every way of searching is a walk in an index that ends after one page of rows; nothing is counted.
Frequent words of metadata are searched among the newest rows only, and a page may end before it is
full (`payments.history.metadata_words`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    cast,
    func,
    or_,
    select,
    text,
    union_all,
)

from infra.billing.contract.ids import KEY as API_KEY
from infra.billing.contract.ids import delivery_id, delivery_number, id_from_key, is_id
from infra.billing.contract.limits import LIMIT_MAX
from infra.billing.contract.objects import Find
from models import Capture
from models.base import table_of
from payments.access.scopes import OPERATOR, Access
from payments.cursors import after, place
from payments.history import search_text
from payments.history.identifiers import keys_of
from payments.history.metadata_words import Place, by_metadata
from payments.history.search_text import Typed
from payments.history.searchable import (
    AUDIT,
    BY_PREFIX,
    CHARGE,
    DELIVERY,
    DISPUTE,
    ENDPOINT,
    KEY,
    PRICE,
    PRODUCT,
    REFUND,
    Searchable,
)
from payments.paging import planned_each_time
from payments.payment_errors import InvalidRequest
from payments.views import view_of_value

# Shorter texts are in every URL.
URL_PART_MIN = 3

view = view_of_value(Find)


@dataclass(slots=True)
class Found:
    """A match, and the field that matched. `state`, `amount` and the like: if it has one."""

    type: str
    id: str
    created_at: datetime
    producer: str | None
    name: str | None
    state: str | None
    amount: int | None
    currency: str | None
    found_by: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the matches, and the cursor of the next page; None at the end. `looked_until`: rows
    older than that were not searched, so the page may be short, or empty. `is_part`: a key was not
    looked up for all producers, as there are too many."""

    found: list[Found]
    next_cursor: str | None
    looked_until: datetime | None = None
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended before it was full: after everything of this moment."""

    created_at: datetime
    id: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of searching: the kind of object, the field, and the condition."""

    kind: Searchable
    by: str
    where: ColumnElement[bool]


def search(
    connection: Connection,
    wanted: object,
    *,
    access: Access = OPERATOR,
    limit: int = 20,
    cursor: str | None = None,
) -> Page:
    """Up to `limit` (1 to 100) objects that `wanted` names and `access` sees, newest first.

    One of our ids (that of an API key, too); an idempotency key of any producer, a reference, a
    customer, a processor's reference, the id of a request; an amount (`19.99 EUR`, `1999`);
    metadata (`name:value`, or words of values); a lookup key, a part of an endpoint's URL, a key's
    producer, an actor. Raises InvalidRequest.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidRequest(f"limit must be from 1 to {LIMIT_MAX}, not {limit}", param="limit")
    typed, asked = search_text.read(wanted), {"q": wanted}
    behind = None if cursor is None else place(cursor, prefix=None, filters=asked)
    hits: dict[str, Found] = {}
    ends: list[datetime] = []
    of_id, is_part = _of_id(typed.text), False
    if of_id is not None:
        ways = [of_id]
    else:
        whose = None if access.sees_all else str(access.producer)
        keys, is_part = keys_of(connection, typed.text, whose)
        ways = [*_keyed(keys), *_ways(connection, typed)]
    ways = [way for way in ways if way.kind.is_seen_by(access)]
    with planned_each_time(connection):
        for by, row in _walk(connection, ways, access, behind, limit + 1):
            _note(hits, by, row)
        for kind in (CHARGE, REFUND) if of_id is None else ():
            if not kind.is_seen_by(access):
                continue
            looked = by_metadata(connection, kind, typed, access, behind, limit + 1)
            for row in looked.rows:
                _note(hits, "metadata", row)
            ends += [looked.until] if looked.until is not None else []
    ordered = sorted(hits.values(), key=lambda one: (one.created_at, one.id), reverse=True)
    if behind is not None:
        ordered = [one for one in ordered if (one.created_at, one.id) < behind]
    end = max(ends, default=None)
    if end is not None:  # older matches come together with rows not searched yet
        ordered = [one for one in ordered if one.created_at >= end]
    found = ordered[:limit]
    if len(ordered) > limit:
        return Page(found, after(found[-1], filters=asked), is_part=is_part)
    if end is not None:
        cursor = after(_Place(end), filters=asked)
        return Page(found, cursor, looked_until=end, is_part=is_part)
    return Page(found, None, is_part=is_part)


def every(connection: Connection, wanted: object, *, access: Access = OPERATOR) -> Iterator[Found]:
    """All matches, in the order of `search`; never more than a page of them in memory."""
    cursor: str | None = None
    while True:
        page = search(connection, wanted, access=access, limit=LIMIT_MAX, cursor=cursor)
        yield from page.found
        cursor = page.next_cursor
        if cursor is None:
            return


def _note(hits: dict[str, Found], by: str, row: Any) -> None:
    found = Found(*row)
    if found.type == DELIVERY.type:
        found.id = delivery_id(int(found.id))
    known = hits.setdefault(found.id, found)
    if by not in known.found_by:
        known.found_by.append(by)


# --- The ways


def _ways(connection: Connection, typed: Typed) -> Iterator[Way]:
    wanted = typed.text
    charges, disputes = CHARGE.table.c, DISPUTE.table.c
    for column in (charges.reference, charges.customer_id):
        # To match the partial index.
        yield Way(CHARGE, column.name, column.is_not(None) & (column == wanted))
    for kind in (CHARGE, REFUND):
        for name in ("processor_reference", "request_id"):
            of_it = kind.table.c[name]
            yield Way(kind, name, of_it.is_not(None) & (of_it == wanted))
    yield Way(DISPUTE, "processor_reference", disputes.processor_reference == wanted)
    of_request = select(_captures.c.charge_id).where(
        _captures.c.request_id.is_not(None), _captures.c.request_id == wanted
    )
    yield Way(CHARGE, "request_id", charges.id == _any_of(of_request))
    done = AUDIT.table.c
    yield Way(AUDIT, "request_id", done.request_id.is_not(None) & (done.request_id == wanted))
    yield Way(AUDIT, "actor", done.actor == wanted)
    yield Way(PRICE, "lookup_key", PRICE.table.c.lookup_key == wanted)
    yield Way(KEY, "producer", KEY.table.c.producer == wanted)
    if len(wanted) >= URL_PART_MIN:
        url = func.lower(ENDPOINT.table.c.url)
        yield Way(ENDPOINT, "url", func.strpos(url, wanted.lower()) > 0)
    for currency, amount in typed.amounts(_currencies(connection)):
        for kind in (CHARGE, REFUND):
            c = kind.table.c
            where = (c.currency == currency) & (c.amount == amount)
            yield Way(kind, "amount", where)


def _of_id(wanted: str) -> Way | None:
    """The only way of searching for one of our ids."""
    shown = API_KEY.fullmatch(wanted)
    if shown or (wanted.startswith("key_") and len(wanted) == len("key_") + 16):
        return Way(KEY, "id", KEY.table.c.id == (shown[1] if shown else wanted))
    for prefix, kind in BY_PREFIX.items():
        if is_id(wanted, prefix):
            id_: object = delivery_number(wanted) if kind is DELIVERY else wanted
            return Way(kind, "id", kind.table.c.id == id_)
    if is_id(wanted, "cap_"):
        of_capture = select(_captures.c.charge_id).where(_captures.c.id == wanted)
        return Way(CHARGE, "id", CHARGE.table.c.id == _any_of(of_capture))
    return None


def _any_of(ids: Select[Any]) -> ColumnElement[Any]:
    # As an array, which is built first: with a join, all charges might be read for a few ids.
    return func.any(func.array(ids.scalar_subquery()))


def _keyed(keys: Sequence[tuple[str, str]]) -> Iterator[Way]:
    """By an idempotency key: ids are derived from it and the producer, so there is no index of
    keys."""
    for name, kind in (
        ("charge", CHARGE),
        ("refund", REFUND),
        ("product", PRODUCT),
        ("price", PRICE),
    ):
        ids = [id_from_key(name, producer=one, key=key) for one, key in keys]  # type: ignore[arg-type]
        yield Way(kind, "idempotency_key", kind.table.c.id.in_(ids))
    captures = [id_from_key("capture", producer=one, key=key) for one, key in keys]
    of_captures = select(_captures.c.charge_id).where(_captures.c.id.in_(captures))
    yield Way(CHARGE, "idempotency_key", CHARGE.table.c.id == _any_of(of_captures))


def _walk(
    connection: Connection,
    ways: Sequence[Way],
    access: Access,
    behind: Place | None,
    limit: int,
) -> Iterator[tuple[str, Any]]:
    """The newest of each way, in one statement."""
    parts = []
    for number, way in enumerate(ways):
        statement = _newest_first(way.kind, way.kind.finds(way.where, access=access), behind, limit)
        part = statement.subquery()
        parts.append(select(text(str(number)), *part.c))  # our own number
    if parts:
        for number, *row in connection.execute(union_all(*parts)):
            yield ways[number].by, row


def _newest_first(
    kind: Searchable, statement: Select[Any], behind: Place | None, limit: int
) -> Select[Any]:
    # Ids in byte order, whatever the database's collation, as matches of all kinds are merged.
    created_at, id_ = kind.table.c.created_at, cast(kind.table.c.id, String).collate("C")
    if behind is not None and kind is not DELIVERY:
        at, last = behind
        statement = statement.where(created_at <= at, or_(created_at < at, id_ < last))
    return statement.order_by(created_at.desc(), id_.desc()).limit(limit)


def _currencies(connection: Connection) -> list[str]:
    """The currencies of all charges: as many steps in an index as there are."""
    return [str(code) for code in connection.scalars(_CURRENCIES)]


_captures = table_of(Capture)
_CURRENCIES = text("""
    WITH RECURSIVE used AS (
        (SELECT currency AS code FROM charges ORDER BY currency LIMIT 1)
        UNION ALL
        SELECT (SELECT c.currency FROM charges c WHERE c.currency > u.code
                ORDER BY c.currency LIMIT 1)
        FROM used u WHERE u.code IS NOT NULL
    )
    SELECT code FROM used WHERE code IS NOT NULL
""")
