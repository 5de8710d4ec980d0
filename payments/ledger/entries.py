"""Reading the ledger: the postings of an object or a period, and the seals."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from models.bookkeeping import Account
from payments.access.scopes import OPERATOR, Access
from payments.ledger.sealing import SEALED_AGAIN

# Rows fetched from the server at a time.
PAGE = 1000


def of_object(connection: Connection, object_id: str) -> list[dict[str, Any]]:
    """The postings of a charge, a refund, a dispute or a payout, in the order of writing."""
    rows = connection.execute(_OF_OBJECT, {"id": object_id}).mappings()
    return [posting_view(row) for row in rows]


def of_period(
    connection: Connection, since: datetime, until: datetime, *, access: Access = OPERATOR
) -> Iterator[dict[str, Any]]:
    """The postings with an effective time in this period (`until` exclusive), in that order.
    Streamed: never all in memory."""
    producer = None if access.sees_all else access.producer
    given = {"since": since, "until": until, "producer": producer}
    streamed = connection.execution_options(yield_per=PAGE).execute(_OF_PERIOD, given)
    for row in streamed.mappings():
        yield posting_view(row)


def newest_seals(
    connection: Connection, limit: int, *, before: datetime | None = None
) -> list[dict[str, Any]]:
    """The last seals, or the last ones before `before`; newest first."""
    given = {"limit": limit, "before": before}
    return [dict(row) for row in connection.execute(_SEALS, given).mappings()]


def hold_again(
    connection: Connection, seals: Sequence[Mapping[str, Any]], *, postings_max: int
) -> dict[datetime, bool]:
    """Whether these seals, from the first on, still match their postings, by their ends.

    Stops before it would read more than `postings_max`; the very first seal, which seals nothing,
    is left out.
    """
    looked_at: list[datetime] = []
    for one in seals:
        postings_max -= one["postings"]
        if postings_max < 0:
            break
        looked_at.append(one["until"])
    rows = connection.execute(_AGAIN, {"untils": looked_at})
    return {
        row.until: row.hash == row.hash_now and row.postings == row.postings_now for row in rows
    }


def posting_view(row: Any) -> dict[str, Any]:
    """A posting for programs; its accounts by their names."""
    view = dict(row)
    for side in ("debit", "credit"):
        view[side] = Account(view[side]).name.lower()
    return view


# --- The statements, built once ---

_COLUMNS = """
    p.at, p.id, p.effective_at, p.object_id, b.producer, b.processor, b.livemode, p.debit, p.credit,
    p.amount, b.currency
"""
_OF_OBJECT = text(f"""
    SELECT {_COLUMNS} FROM ledger_postings p JOIN ledger_books b ON b.id = p.book
    WHERE p.object_id = :id ORDER BY p.at, p.id
""")  # noqa: S608  # our own names only
_OF_PERIOD = text(f"""
    SELECT {_COLUMNS} FROM ledger_postings p JOIN ledger_books b ON b.id = p.book
    WHERE p.effective_at >= :since AND p.effective_at < :until
      AND (CAST(:producer AS text) IS NULL OR b.producer = :producer)
    ORDER BY p.effective_at, p.object_id, p.id
""")  # noqa: S608  # likewise
_SEALS = text("""
    SELECT until, postings, hash, sealed_at FROM ledger_seals
    WHERE until < coalesce(CAST(:before AS timestamptz), 'infinity')
    ORDER BY until DESC LIMIT :limit
""")
_AGAIN = text(f"{SEALED_AGAIN} WHERE s.until = ANY(CAST(:untils AS timestamptz[]))")
