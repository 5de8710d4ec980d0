"""Exports: charges, refunds, disputes and the ledger of a period, ordered by time.

Read page by page, each with its own statement: a long export takes no more memory, and does not
hold up the database's vacuum.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, text

from infra.billing.contract.ids import DISPUTE_PREFIX, PREFIXES
from payments.access.scopes import OPERATOR, Access
from payments.ledger.entries import posting_view
from payments.payment_errors import InvalidRequest
from payments.views import charge_view, dispute_view, refund_view

What = Literal["charges", "refunds", "disputes", "ledger"]
By = Literal["settled_at", "created_at"]
Format = Literal["csv", "jsonl", "hledger", "beancount"]
WHATS, BYS, FORMATS = get_args(What), get_args(By), get_args(Format)

# Rows of one page: read in a few milliseconds, for any producer.
PAGE = 1000
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Export:
    """What to export: `until` is exclusive. Only what `access` sees, and either real money or test
    money, since a sum of both would mean nothing."""

    what: What
    since: datetime
    until: datetime
    livemode: bool
    by: By = "settled_at"
    # Whether to export the postings of these instead.
    as_postings: bool = False
    access: Access = OPERATOR

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise InvalidRequest("from must be before to, which is not included", param="from")


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the rows, and the place after them; None at the end."""

    rows: list[Row]
    after: tuple[datetime, str] | None


def page(connection: Connection, wanted: Export, after: tuple[datetime, str] | None = None) -> Page:
    """The rows after the place `after`. A page may be empty without being the last: the rows of all
    producers are walked, and filtered."""
    is_ledger = wanted.what == "ledger" or wanted.as_postings
    statement = _LEDGER if is_ledger else _STATEMENTS[wanted.what, wanted.by]
    at, key = after or (_BEGINNING, "0" if is_ledger else "")
    given = {
        "since": max(wanted.since, at),
        "until": wanted.until,
        "at": at,
        "key": int(key) if is_ledger else key,
        "limit": PAGE,
    }
    found = connection.execute(statement, given).all()
    rows = [_view(wanted, row) for row in found if _is_wanted(wanted, row)]
    if len(found) < PAGE:
        return Page(rows, None)
    return Page(rows, (found[-1].moment, str(found[-1].id)))


def every(connection: Connection, wanted: Export) -> Iterator[Row]:
    """All rows, never more than a page in memory."""
    after = None
    while True:
        found = page(connection, wanted, after)
        yield from found.rows
        if (after := found.after) is None:
            return


def in_format(wanted: Export, format_: Format) -> Export:
    """What to read for this format: plain text accounting needs postings."""
    return replace(wanted, as_postings=format_ in ("hledger", "beancount"))


_VIEWS: Mapping[What, Callable[[Any], Row]] = {
    "charges": charge_view,
    "refunds": refund_view,
    "disputes": dispute_view,
}
_OF: Mapping[What, str] = {
    "charges": PREFIXES["charge"],
    "refunds": PREFIXES["refund"],
    "disputes": DISPUTE_PREFIX,
    "ledger": "",
}


def _is_wanted(wanted: Export, row: Any) -> bool:
    owner = getattr(row, "charge_producer", None) or row.producer
    if row.livemode is not wanted.livemode or not wanted.access.sees(owner):
        return False
    return not wanted.as_postings or row.object_id.startswith(_OF[wanted.what])


def _view(wanted: Export, row: Any) -> Row:
    if wanted.what == "ledger" or wanted.as_postings:
        view = posting_view(row._mapping)  # noqa: SLF001  # public, in spite of its name
        del view["moment"]
        return view
    return _VIEWS[wanted.what](row)


# --- The statements, built once ---


def _statement(table: str, moment: str) -> Any:
    return text(f"""
        SELECT *, {moment} AS moment, now() AS now FROM {table}
        WHERE {moment} >= :since AND {moment} < :until AND ({moment}, id) > (:at, :key)
        ORDER BY {moment}, id LIMIT :limit
    """)  # noqa: S608  # our own names only


_STATEMENTS: Mapping[tuple[What, By], Any] = {
    ("charges", "settled_at"): _statement("charges", "settled_at"),
    ("charges", "created_at"): _statement("charges", "created_at"),
    ("refunds", "settled_at"): _statement("refunds", "settled_at"),
    ("refunds", "created_at"): _statement("refunds", "created_at"),
    # Disputes are few.
    ("disputes", "settled_at"): _statement("disputes", "closed_at"),
    ("disputes", "created_at"): _statement("disputes", "created_at"),
}
_LEDGER = text("""
    SELECT p.effective_at AS moment, p.at, p.id, p.effective_at, p.object_id, b.producer,
           b.processor, b.livemode, p.debit, p.credit, p.amount, b.currency
    FROM ledger_postings p JOIN ledger_books b ON b.id = p.book
    WHERE p.effective_at >= :since AND p.effective_at < :until
      AND (p.effective_at, p.id) > (:at, :key)
    ORDER BY p.effective_at, p.id LIMIT :limit
""")
