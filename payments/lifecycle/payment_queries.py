"""Reading charges and refunds: one by its id, or a list page by page, newest first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, literal, or_, select

from infra.billing.contract.ids import PREFIXES, is_id, is_price_id
from models import Attempt
from models.base import id_among, table_of
from models.rows import ChargeRow, LifecycleRow
from models.states import Phase, State
from payments.access.scopes import OPERATOR, Access, owner, owner_in
from payments.catalog.price_locks import find
from payments.kinds import CHARGE, KINDS, REFUND, Kind, KindOf, R
from payments.paging import Listing, Page
from payments.payment_errors import InvalidRequest, NotFound
from payments.transaction import Transaction, first, read

# Filters of a list: columns that must equal, and bounds on `created_at`.
FILTERS: Mapping[str, tuple[str, ...]] = {
    CHARGE.name: ("state", "phase", "customer_id", "reference", "price_id"),
    REFUND.name: ("state", "phase", "charge_id"),
}
BOUNDS = ("created_after", "created_before")
# The fields of an order that come from the attempts of a charge.
PAST = ("last_sent_at", "looked_until")


def get(connection: Connection, kind: KindOf[R], id_: str, *, access: Access = OPERATOR) -> R:
    """The row of a charge or a refund. Raises NotFound, also for what `access` doesn't see."""
    row: R | None = None
    if is_id(id_, PREFIXES[kind.name]):
        row = first(connection, kind.row, select(kind.table).where(kind.table.c.id == id_))
    if row is None or not access.sees(owner(row)):
        raise NotFound(f"there is no {kind.name} with this id", param="id")
    return row


def is_at_rest(row: LifecycleRow) -> bool:
    """Whether nothing more happens by itself: it is final, or authorized and to be captured or
    canceled by its owner, or a second person must approve it."""
    if row.state != State.PENDING or row.phase == Phase.AWAITING_APPROVAL:
        return True
    return row.phase == Phase.AUTHORIZED and getattr(row, "cancel_requested_at", None) is None


def at_rest(kind: Kind) -> ColumnElement[bool]:
    """`is_at_rest` as an SQL condition."""
    is_final: ColumnElement[bool] = kind.table.c.state != State.PENDING.value
    if kind is not CHARGE:
        return is_final | (kind.table.c.phase == Phase.AWAITING_APPROVAL.value)
    is_asked_for = kind.table.c.cancel_requested_at.is_not(None)
    return is_final | ((kind.table.c.phase == Phase.AUTHORIZED.value) & ~is_asked_for)


def some(connection: Connection, kind: KindOf[R], ids: Sequence[str]) -> dict[str, R]:
    """The rows with these ids, as far as they exist."""
    rows = read(connection, kind.row, _SOME[kind.name], {"ids": list(ids)})
    return {row.id: row for row in rows}


def past_of(
    transaction: Transaction, rows: Iterable[ChargeRow]
) -> dict[str, Mapping[str, datetime | None]]:
    """When these charges were last sent, and how far look-ups got, by their ids. Only for charges
    that are in doubt or to end and whose processor reference is not known.

    An attempt that was not settled may have sent it, whatever it set out to do.
    """
    ids = [
        row.id
        for row in rows
        if row.processor_reference is None
        and (row.phase != Phase.IN_FLIGHT or row.cancel_requested_at is not None)
    ]
    if not ids:
        return {}
    found = transaction.execute(_PAST, {"ids": ids}).mappings()
    return {one["object_id"]: {name: one[name] for name in PAST} for one in found}


def fingerprints(connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, str]:
    """The fingerprints of the requests under these ids; unused ids are left out."""
    columns = (kind.table.c.id, kind.table.c.fingerprint)
    statement = select(*columns).where(id_among(kind.table.c.id))
    return dict(read(connection, tuple[str, str], statement, {"ids": ids}))


def page(
    connection: Connection,
    kind: KindOf[R],
    *,
    filters: Mapping[str, Any] | None = None,
    access: Access = OPERATOR,
    **asked: Any,
) -> Page[R]:
    """A page of the charges or refunds that `access` sees (`payments.paging`).

    `filters`: those of FILTERS (`price_id` is the id or the lookup key of a price), and
    `created_after` / `created_before` (datetimes with a zone; the first inclusive, the second
    exclusive). Raises InvalidRequest.
    """
    filters = _resolved(connection, kind, filters or {})
    where = access.sees_where(owner_in(kind.table))
    return _listing(kind).page(connection, filters=filters, where=where, **asked)


def every(
    connection: Connection,
    kind: KindOf[R],
    *,
    filters: Mapping[str, Any] | None = None,
    until: datetime | None = None,
) -> Iterator[R]:
    """All rows, newest first, in the order of `page`; never more than a page of them in memory."""
    filters = _resolved(connection, kind, filters or {})
    return _listing(kind).every(connection, filters=filters, until=until)


def _listing(kind: KindOf[R]) -> Listing[R]:
    names = (*FILTERS[kind.name], *BOUNDS)
    return Listing(
        kind.row, kind.table, PREFIXES[kind.name], names, partial(_condition, kind.table)
    )


def _resolved(connection: Connection, kind: Kind, filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters with the price's id: its lookup key may move to another price between two
    pages."""
    name = filters.get("price_id") if kind is CHARGE else None
    if name is None or is_price_id(_text("price_id", name)):
        return dict(filters)
    try:
        price, _ = find(connection, name)
    except NotFound:
        raise InvalidRequest(
            "there is no price with this lookup key; send its id, or the key of another",
            param="price_id",
        ) from None
    return {**filters, "price_id": price.id}


def _condition(table: Table, name: str, value: object) -> ColumnElement[bool]:
    if name in BOUNDS:
        at, created_at = _moment(name, value), table.c.created_at
        return created_at >= at if name == "created_after" else created_at < at
    asked = _text(name, value)
    if name not in ("state", "phase"):
        return table.c[name] == asked
    # Written out, not a parameter: a generic plan can't use a partial index.
    is_so = table.c[name] == literal(asked, literal_execute=True)
    if name == "phase":
        return is_so & _is_pending(table)
    return _is_pending(table) if asked == State.PENDING else is_so


def _is_pending(table: Table) -> ColumnElement[bool]:
    """Whether it is pending, leased or not: written so that the two small indexes of the sweeps
    serve it. The index of all that did not succeed has a hundred failed rows for each pending
    one."""
    is_so = table.c.state == literal(State.PENDING.value, literal_execute=True)
    return is_so & or_(table.c.lease_token.is_(None), table.c.lease_token.is_not(None))


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidRequest(f"{name} must be text", param=name)
    if name == "state" and value not in list(State):
        raise InvalidRequest(f"state must be one of {', '.join(State)}", param=name)
    if name == "charge_id" and not is_id(value, PREFIXES["charge"]):
        raise InvalidRequest("charge_id must be the id of a charge (ch_…)", param=name)
    if name == "phase" and value not in list(Phase):
        raise InvalidRequest(f"phase must be one of {', '.join(Phase)}", param=name)
    return value


def _moment(name: str, value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidRequest(f"{name} must be a moment with a time zone", param=name)
    return value


# --- The statements, built once ---

_SOME = {name: select(kind.table).where(id_among(kind.table.c.id)) for name, kind in KINDS.items()}
_attempts = table_of(Attempt)
_may_have_sent = or_(
    _attempts.c.verb == CHARGE.name, _attempts.c.outcome.in_(["lease_expired", "overtaken"])
)
_PAST = (
    select(
        _attempts.c.object_id,
        func.max(_attempts.c.started_at).filter(_may_have_sent).label("last_sent_at"),
        func.max(_attempts.c.looked_until).label("looked_until"),
    )
    .where(id_among(_attempts.c.object_id))
    .group_by(_attempts.c.object_id)
)
