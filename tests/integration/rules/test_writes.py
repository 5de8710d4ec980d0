"""What is only written, put together into one statement."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import column, select, text
from sqlalchemy.dialects import postgresql

from models import Attempt, Charge, Delivery, Event, Refund
from models.base import table_of
from models.bookkeeping import LedgerBook, LedgerPosting
from payments.ledger import postings
from payments.lifecycle import waiting_refunds
from payments.lifecycle.moving import moves
from payments.transaction import Database, Transaction
from payments.webhooks import outbox
from payments.writes import Write, statement_of
from tests.support.factories import SUCCEEDED, Till, a_charge, a_refund
from tests.support.statements import statements_of

# Not of the product, whose tables are shared by the tests.
TABLES = """
    CREATE TEMPORARY TABLE shelves (id text PRIMARY KEY) ON COMMIT DROP;
    CREATE TEMPORARY TABLE boxes (id text PRIMARY KEY) ON COMMIT DROP;
"""


def part(table: str, woken: Any = None) -> Write:
    inserted = (
        text(f"INSERT INTO {table} (id) SELECT :of_{table} RETURNING id")
        .columns(column("id"))
        .cte(f"into_{table}")
    )
    if woken is None:
        return Write([inserted])
    return Write([], woken=woken, wakes=select(inserted.c.id))


SHELVES, BOXES = part("shelves", "charges"), part("boxes")


@contextmanager
def transaction_of(till: Till) -> Iterator[Transaction]:
    with till.engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
        yield Transaction(connection)


def ids(transaction: Transaction, table: str) -> list[str]:
    return list(transaction.execute(text(f"SELECT id FROM {table}")).scalars())


def test_parts_go_in_one_statement_and_wake_whom_they_wake(till: Till) -> None:
    with transaction_of(till) as transaction, statements_of(till.engine) as made:
        with transaction.together():
            transaction.write((SHELVES, {"of_shelves": "a"}))
            transaction.write((BOXES, {"of_boxes": "b"}))
            assert made == []
        assert len(made) == 1
        assert (ids(transaction, "shelves"), ids(transaction, "boxes")) == (["a"], ["b"])
        assert (transaction.wakes.charges, transaction.wakes.endpoints) == ({"a"}, set())


def test_one_that_is_written_by_itself_is_written_at_once(till: Till) -> None:
    with transaction_of(till) as transaction:
        for id_ in ("a", "b"):
            transaction.write((SHELVES, {"of_shelves": id_}))
        transaction.write((BOXES, {"of_boxes": "c"}))
        assert (ids(transaction, "shelves"), ids(transaction, "boxes")) == (["a", "b"], ["c"])
        assert transaction.wakes.charges == {"a", "b"}


def test_where_nothing_is_written_nothing_is_asked(till: Till) -> None:
    with transaction_of(till) as transaction, statements_of(till.engine) as made:
        with transaction.together():
            pass
        assert made == []


def test_what_fails_in_between_writes_nothing(till: Till) -> None:
    with transaction_of(till) as transaction:
        with suppress(ZeroDivisionError), transaction.together():
            transaction.write((SHELVES, {"of_shelves": "a"}))
            raise ZeroDivisionError
        assert ids(transaction, "shelves") == []
        transaction.write((SHELVES, {"of_shelves": "b"}))  # it gathers no more
        assert ids(transaction, "shelves") == ["b"]


def test_a_part_given_twice_is_refused_and_not_lost(till: Till) -> None:
    with transaction_of(till) as transaction:
        twice = (SHELVES, {"of_shelves": "a"}), (SHELVES, {"of_shelves": "b"})
        with pytest.raises(ValueError, match="all its rows at once"):
            transaction.write(*twice)
        with transaction.together(), pytest.raises(RuntimeError), transaction.together():
            pass


def test_no_parameter_is_called_as_a_column_that_is_written() -> None:
    """SQLAlchemy would take it for a value of that column, in every part that writes its table."""
    parts = (
        moves._NEW_ATTEMPTS,
        outbox._PUBLISH,
        postings._WRITE,
        waiting_refunds._WAKE_REFUNDS,
        moves._MOVE["charge"],
    )
    named = statement_of(parts).compile(dialect=postgresql.dialect()).params
    assert {"new_attempts", "facts", "books", "postings", "final_charges", "moves"} <= named.keys()
    written = (Attempt, Charge, Event, Delivery, LedgerBook, LedgerPosting, Refund)
    columns = {column.name for model in written for column in table_of(model).columns}
    assert columns & named.keys() == set()


@pytest.mark.parametrize("of", ["charge", "refund"])
def test_a_settlement_is_two_statements(till: Till, of: str) -> None:
    """The rows are held; and they are moved, with all that belongs to the move."""
    charge = a_charge()
    claimed = till.claim(charge)
    if of == "refund":
        till.settle(claimed, SUCCEEDED)
        claimed = till.claim(a_refund(charge.id))
    till.database = Database(till.engine)  # the tests' own looks what was written
    with statements_of(till.engine) as made:
        assert till.settle(claimed, SUCCEEDED)["state"] == "succeeded"
    # Of a refund its charge is held, too, and carries the sum.
    assert len(made) == {"charge": 2, "refund": 4}[of], made
