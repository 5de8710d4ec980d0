"""Posts what is older than the ledger: a walk over each table, page by page.

An object lacks the difference between where its money stands and what was posted for it. Both are
read in one statement, so no row is locked: a move in the meantime posts its own difference, and the
two add up in either order. Only one walk runs at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, literal_column, not_, select, text

from models.bookkeeping import Account
from payments.ledger.chart import Book, Of, Standing, of_row
from payments.ledger.postings import between, write
from payments.transaction import Transaction

# Rows of one step, which takes a tenth of a second.
PAGE = 1000

TABLES: Mapping[str, Of] = {"charges": "charge", "refunds": "refund", "disputes": "dispute"}


@dataclass(frozen=True, slots=True)
class Page:
    """The result of a step."""

    looked_at: int
    posted: int
    is_last: bool


def fill(transaction: Transaction, name: str, *, limit: int = PAGE) -> Page | None:
    """Post what the next rows of this table lack; None: there are none, or another process does
    it."""
    walk = transaction.execute(_TAKE, {"name": name}).first()
    if walk is None:
        return None
    found = transaction.execute(_PAGES[name], {"after": walk.walked, "limit": limit}).all()
    of = TABLES[name]
    moved = []
    for row in found:
        stands = of_row(of, row, row.capturing)
        lacking = between(_posted(row.posted), _in_all(stands)) if row.posted else stands
        if lacking:
            moved.append((row.id, _happened_at(row), lacking))
    posted = write(transaction, moved)
    is_last = len(found) < limit
    walked = found[-1].id if found else walk.walked
    transaction.execute(_NOTE, {"name": name, "walked": walked, "is_last": is_last})
    return Page(len(found), posted, is_last)


def step(transaction: Transaction, name: str) -> int:
    """`fill` as a step of the sweep: returns how many rows it read."""
    page = fill(transaction, name)
    return 0 if page is None else page.looked_at


def again(transaction: Transaction) -> None:
    """Walk all tables again, to post what was moved by a version that knows no ledger."""
    transaction.execute(_AGAIN)


def is_whole(connection: Connection) -> bool:
    """Whether everything older than the ledger has been posted."""
    return bool(connection.execute(_IS_WHOLE).scalar_one())


def _happened_at(row: Any) -> datetime:
    """The effective time of a row's postings: its end; for a row without one, such as a dispute,
    its beginning, as otherwise it would be in the books of the day of the walk."""
    settled: datetime | None = getattr(row, "settled_at", None)
    began: datetime = row.created_at
    return settled or began


def _posted(entries: list[dict[str, Any]]) -> Standing:
    standing: Standing = {}
    for one in entries:
        account, amount = Account(one.pop("account")), one.pop("amount")
        standing[Book(**one), "money", account] = amount
    return standing


def _in_all(stands: Standing) -> Standing:
    """The standing without its parts, as postings don't record them."""
    standing: Standing = {}
    for (book, _, account), amount in stands.items():
        before = standing.get((book, "money", account), 0)
        standing[book, "money", account] = before + amount
    return standing


# --- The statements, built once ---

# The lock on this row is held while walking.
_TAKE = text("""
    SELECT walked FROM ledger_filling WHERE name = :name AND finished_at IS NULL
    FOR UPDATE SKIP LOCKED
""")
_NOTE = text("""
    UPDATE ledger_filling
    SET walked = :walked, finished_at = CASE WHEN :is_last THEN now() END WHERE name = :name
""")
_AGAIN = text("UPDATE ledger_filling SET walked = '', finished_at = NULL, started_at = now()")
# Whether `fill` has something to do.
ANY_LEFT = literal_column("EXISTS (SELECT FROM ledger_filling WHERE finished_at IS NULL)", Boolean)
_IS_WHOLE = select(not_(ANY_LEFT))


def _page_statement(name: str) -> Any:
    capturing = "0"
    if name == "charges":
        capturing = """coalesce((
            SELECT amount FROM captures k WHERE k.charge_id = o.id AND k.state = 'pending'
        ), 0)"""
    return text(f"""
        SELECT o.*, now() AS now, {capturing} AS capturing, (
            SELECT json_agg(json_build_object(
                'producer', producer, 'processor', processor, 'currency', currency,
                'livemode', livemode, 'account', account, 'amount', amount
            )) FROM (
                SELECT b.producer, b.processor, b.currency, b.livemode, e.account,
                       sum(e.amount)::bigint AS amount
                FROM ledger_postings p JOIN ledger_books b ON b.id = p.book
                CROSS JOIN LATERAL (VALUES (p.debit, p.amount), (p.credit, -p.amount))
                     AS e (account, amount)
                WHERE p.object_id = o.id GROUP BY 1, 2, 3, 4, 5 HAVING sum(e.amount) <> 0
            ) sums
        ) AS posted
        FROM {name} o WHERE o.id > :after ORDER BY o.id LIMIT :limit
    """)  # noqa: S608  # our own names only


_PAGES = {name: _page_statement(name) for name in TABLES}
