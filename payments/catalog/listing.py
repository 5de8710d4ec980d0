"""Lists of products and prices, page by page: `{count, list}`.

A page is found by its number or by the cursor of the previous page. By cursor, each costs the same.
By number, the rows before it are skipped: in an index that has the filters' columns, and from the
nearer end. Counting takes longer than that, so no page costs more than twice another of the same
list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from infra.billing.contract.ids import MADE_PREFIXES
from infra.billing.contract.limits import LIMIT_MAX, PAGE_MAX
from payments.catalog import currencies
from payments.catalog.catalog_views import price_view, product_view
from payments.catalog.price_locks import PRICES, PRODUCTS, WITH_PRODUCT, apart
from payments.cursors import Order, after, behind, ordered
from payments.payment_errors import InvalidRequest

Kind = Literal["product", "price"]

PAGE_SIZE = 20
_TABLES: Mapping[Kind, Table] = {"product": PRODUCTS, "price": PRICES}
_WHOLE: Mapping[Kind, Select[Any]] = {"product": select(PRODUCTS), "price": WITH_PRODUCT}


@dataclass(frozen=True, slots=True)
class Listing:
    """One page, the count of the whole list, and the cursor of the next page; None at the end."""

    count: int
    views: list[dict[str, Any]]
    next_cursor: str | None


def page(
    connection: Connection,
    kind: Kind,
    *,
    filters: Mapping[str, Any] | None = None,
    page: int = 1,
    page_size: int = PAGE_SIZE,
    order: Order = "desc",
    cursor: str | None = None,
    until: datetime | None = None,
) -> Listing:
    """A page by its number, from 1, or by `cursor`; `desc` is newest first.

    `filters` are columns that must equal: `active` for products; for prices also `type`,
    `currency_id`, `product_id` and `lookup_key`. None = any. `until` is where the list ends, so
    that no older row appears later (`payments.history.settled`). Raises InvalidRequest.
    """
    if not 1 <= page_size <= LIMIT_MAX:
        raise InvalidRequest(
            f"pageSize must be a whole number from 1 to {LIMIT_MAX}", param="pageSize"
        )
    if not 1 <= page <= PAGE_MAX:
        raise InvalidRequest(f"page must be a whole number from 1 to {PAGE_MAX}", param="page")
    table, filters = _TABLES[kind], filters or {}
    where = list(_conditions(table, filters))
    if until is not None:
        where.append(table.c.created_at < until)
    count = connection.scalar(select(func.count()).select_from(table).where(*where)) or 0
    # One more than asked for shows whether there is a next page.
    if cursor is not None:
        prefix = MADE_PREFIXES[kind]
        where.append(behind(table, cursor, prefix=prefix, filters=filters, order=order))
        statement = _WHOLE[kind].where(*where).limit(page_size + 1)
    else:
        skipped = (page - 1) * page_size
        statement = _WHOLE[kind].where(
            table.c.id.in_(_numbered(table, where, skipped, page_size + 1, order, count))
        )
    rows = connection.execute(statement.order_by(*ordered(table, order))).all()
    views = _views(kind, rows[:page_size])
    more = len(rows) > page_size
    cursor = after(rows[page_size - 1], filters=filters, order=order) if more else None
    return Listing(count, views, cursor)


def every(
    connection: Connection,
    kind: Kind,
    *,
    filters: Mapping[str, Any] | None = None,
    order: Order = "desc",
    until: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """All of them; never more than a page of them in memory."""
    cursor: str | None = None
    while True:
        found = page(
            connection,
            kind,
            filters=filters,
            order=order,
            cursor=cursor,
            page_size=LIMIT_MAX,
            until=until,
        )
        yield from found.views
        cursor = found.next_cursor
        if cursor is None:
            return


def _numbered(
    table: Table,
    where: list[ColumnElement[bool]],
    skipped: int,
    size: int,
    order: Order,
    count: int,
) -> Select[Any]:
    """The ids of a page, read from the index alone, from the nearer end."""
    size = max(0, min(size, count - skipped))
    # The last page is the first one of the reverse order.
    behind = count - skipped - size
    if behind < skipped:
        skipped, order = max(0, behind), _turned(order)
    ids = select(table.c.id).where(*where).order_by(*ordered(table, order))
    page = ids.offset(skipped).limit(size).subquery()
    return select(page.c.id)


def _views(kind: Kind, rows: Sequence[Any]) -> list[dict[str, Any]]:
    if kind == "product":
        return [product_view(row) for row in rows]
    return [price_view(*apart(row)) for row in rows]


def _conditions(table: Table, filters: Mapping[str, Any]) -> Iterator[ColumnElement[bool]]:
    for name, value in filters.items():
        if value is None:
            continue
        if name == "currency_id":
            yield table.c.currency == currencies.code_of(value)
        else:
            yield table.c[name] == value


def _turned(order: Order) -> Order:
    return "asc" if order == "desc" else "desc"
