"""The only place that writes into the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import column, text

from models.base import as_rows
from models.bookkeeping import Account
from models.states import Phase, State
from payments.ledger.chart import Book, Of, Part, Standing, effective_at, of_row
from payments.transaction import Transaction
from payments.writes import Write

# Statuses in which money may be in transit.
_IN_DOUBT = (Phase.UNKNOWN, Phase.NEEDS_REVIEW)


@dataclass(frozen=True, slots=True)
class Change:
    """A row before and after; `before` None: it was new. `now` carries the database's moment."""

    before: Any | None
    now: Any


def post(transaction: Transaction, of: Of, changes: Sequence[Change]) -> None:
    """Post what these changes move, in this transaction, which has locked the rows.

    Call it before the end of a capture is written: the capture that is under way is read here.
    """
    capturing = _capturing(transaction, changes) if of == "charge" else {}
    moved = []
    for one in changes:
        amount = capturing.get(one.now.id, 0)
        before = {} if one.before is None else of_row(of, one.before, amount)
        now = of_row(of, one.now, amount)
        if before != now:
            moved.append((one.now.id, effective_at(one.now), between(before, now)))
    write(transaction, moved)


def between(before: Standing, now: Standing) -> Standing:
    """The difference from one standing to the other."""
    change = {place: now.get(place, 0) - before.get(place, 0) for place in before | now}
    return {place: amount for place, amount in change.items() if amount}


def write(transaction: Transaction, moved: Iterable[tuple[str, datetime, Standing]]) -> int:
    """Write these movements, each of an object, with its effective time; returns how many postings
    that made."""
    postings: list[Mapping[str, Any]] = []
    books: dict[int, Book] = {}
    for object_id, at, standing in moved:
        for book, debit, credit, amount in pairs(standing):
            id_ = book_id(book)
            books[id_] = book
            postings.append(
                {
                    "effective_at": at,
                    "amount": amount,
                    "book": id_,
                    "debit": debit.value,
                    "credit": credit.value,
                    "object_id": object_id,
                }
            )
    if postings:
        transaction.write((_WRITE, {"books": _books(books), "postings": as_rows(postings)}))
    return len(postings)


def pairs(standing: Standing) -> Iterable[tuple[Book, Account, Account, int]]:
    """These movements as amounts from one account of a book to another: book, debit, credit,
    amount. Raises ValueError if they don't balance."""
    sides: dict[tuple[Book, Part], tuple[list[Any], list[Any]]] = {}
    for (book, part, account), amount in standing.items():
        debited, credited = sides.setdefault((book, part), ([], []))
        (debited if amount > 0 else credited).append([account, abs(amount)])
    for (book, _), (debited, credited) in sides.items():
        while debited and credited:
            (debit, wanted), (credit, there) = debited[-1], credited[-1]
            amount = min(wanted, there)
            yield book, debit, credit, amount
            for side in (debited, credited):
                side[-1][1] -= amount
                if not side[-1][1]:
                    side.pop()
        if debited or credited:
            raise ValueError(f"out of balance in {book.currency}")


def book_id(book: Book) -> int:
    """The id of a book: 64 bits of the SHA-256 of its fields."""
    id_ = _IDS.get(book)
    if id_ is None:
        mode = "live" if book.livemode else "test"
        what = "\n".join((book.producer, book.processor, book.currency, mode))
        id_ = int.from_bytes(sha256(what.encode()).digest()[:8], "big", signed=True)
        if len(_IDS) < _IDS_MAX:
            _IDS[book] = id_
    return id_


# Producers times currencies: few. The limit protects memory in a very large installation.
_IDS: dict[Book, int] = {}
_IDS_MAX = 10_000


def _books(books: Mapping[int, Book]) -> str:
    return as_rows(
        [
            {
                "id": id_,
                "producer": book.producer,
                "processor": book.processor,
                "currency": book.currency,
                "livemode": book.livemode,
            }
            for id_, book in sorted(books.items())
        ]
    )


def _capturing(transaction: Transaction, changes: Sequence[Change]) -> dict[str, int]:
    """The amounts being captured, for charges with money that may be in transit, before or
    after."""
    ids = [
        one.now.id
        for one in changes
        if one.now.amount_captured is not None
        and any(
            row is not None
            and row.state == State.PENDING
            and row.authorized_at is not None
            and row.phase in _IN_DOUBT
            for row in (one.before, one.now)
        )
    ]
    if not ids:
        return {}
    return {row.charge_id: row.amount for row in transaction.execute(_CAPTURING, {"ids": ids})}


# --- The statements, built once ---

# A book is created with its first posting.
_NEW_BOOKS = text("""
    INSERT INTO ledger_books (id, producer, processor, currency, livemode)
    SELECT id, producer, processor, currency, livemode
    FROM json_to_recordset(CAST(:books AS json)) AS b (
        id bigint, producer text, processor text, currency text, livemode boolean
    )
    WHERE NOT EXISTS (SELECT FROM ledger_books k WHERE k.id = b.id)
    ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id
""")
# No posting may be written into a sealed hour, as a clock that was set back would do.
_NEW_POSTINGS = text("""
    INSERT INTO ledger_postings (at, effective_at, amount, book, debit, credit, object_id)
    SELECT greatest(
               clock_timestamp(), (SELECT until FROM ledger_seals ORDER BY until DESC LIMIT 1)
           ),
           effective_at, amount, book, debit, credit, object_id
    FROM json_to_recordset(CAST(:postings AS json)) AS p (
        effective_at timestamptz, amount bigint, book bigint, debit smallint, credit smallint,
        object_id text
    )
    RETURNING book
""")
_WRITE = Write(
    [
        _NEW_BOOKS.columns(column("id")).cte("new_books"),
        _NEW_POSTINGS.columns(column("book")).cte("new_postings"),
    ]
)
_CAPTURING = text(
    "SELECT charge_id, amount FROM captures WHERE charge_id = ANY(:ids) AND state = 'pending'"
)
