"""What each move posts, and that the ledger keeps its promises whatever was moved."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, text
from sqlalchemy.exc import DBAPIError

from models.base import table_of
from models.bookkeeping import Account, LedgerPosting
from payments.ledger import filling
from payments.ledger.balances import balances
from payments.ledger.chart import Book
from payments.ledger.postings import pairs
from payments.lifecycle import database_steps
from payments.lifecycle.database_steps import Settlement
from payments.processors.outcomes import (
    Authorized,
    Canceled,
    Declined,
    Fees,
    NotFound,
    Pending,
    Succeeded,
)
from payments.transaction import Transaction
from tests.integration.rules.test_disputes import later, of, told
from tests.support.every import every
from tests.support.factories import DAY, SUCCEEDED, TIMEOUT, Till, a_capture, a_charge, a_refund
from tests.support.ledger import an_hour_passes, begin_in_this_hour, broken, seal_all
from tests.support.waiting import wait_for

NO = Declined("card_declined", "51", "No.")
EUROS = Fees(fee=59, net=1341, currency="EUR")


@pytest.fixture
def books(engine: Engine) -> Till:
    """A till whose database is one test's alone, and whose ledger keeps its promises."""
    begin_in_this_hour(engine)
    return Till(engine)


def unguarded(till: Till, *changes: str) -> None:
    """What a superuser can do, and nobody else."""
    with till.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for change in changes:
            connection.exec_driver_sql(change)


def posted(till: Till, id_: str) -> list[str]:
    """What was posted of an object, in order: `debit credit amount`, and the currency if it isn't
    USD."""
    rows = till.query(
        "SELECT p.*, b.currency FROM ledger_postings p JOIN ledger_books b ON b.id = p.book"
        " WHERE object_id = :id ORDER BY p.id",
        id=id_,
    )
    return [
        f"{Account(row['debit']).name} {Account(row['credit']).name} {row['amount']}"
        + ("" if row["currency"] == "USD" else f" {row['currency']}")
        for row in rows
    ]


def lost(till: Till, **changes: Any) -> str:
    """The id of a charge of which nobody knows whether it was made."""
    claimed = till.claim(a_charge(**changes))
    till.settle(claimed, TIMEOUT)
    return claimed.id


def goes_on(till: Till, id_: str, found: Any, **how: Any) -> None:
    till.time_passes(DAY, id_)
    till.settle(till.claim(id_), found, **how)


def succeeds(till: Till) -> tuple[str, list[str]]:
    return till.charged(), ["CLEARING CUSTOMER 1000"]


def is_declined(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_charge())
    till.settle(claimed, NO)
    return claimed.id, []


def is_lost_and_found(till: Till) -> tuple[str, list[str]]:
    id_ = lost(till)
    goes_on(till, id_, SUCCEEDED)
    return id_, ["IN_TRANSIT CUSTOMER 1000", "CLEARING IN_TRANSIT 1000"]


def is_lost_and_was_not_made(till: Till) -> tuple[str, list[str]]:
    id_ = lost(till)
    goes_on(till, id_, NO)
    return id_, ["IN_TRANSIT CUSTOMER 1000", "CUSTOMER IN_TRANSIT 1000"]


def is_lost_and_waits_for_its_customer(till: Till) -> tuple[str, list[str]]:
    id_ = lost(till)
    goes_on(till, id_, Pending("sbx_1", "requires_action"))
    return id_, ["IN_TRANSIT CUSTOMER 1000", "CUSTOMER IN_TRANSIT 1000"]


def loses_its_worker(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_charge())
    till.time_passes(DAY, claimed.id)
    till.sweep()
    return claimed.id, ["IN_TRANSIT CUSTOMER 1000"]


def is_resolved_as_paid(till: Till) -> tuple[str, list[str]]:
    id_ = lost(till)
    till.time_passes(DAY, id_)
    goes_on(till, id_, NotFound())
    assert till.stand(id_) == "needs_review"
    till.resolve(id_, "succeeded")
    return id_, ["IN_TRANSIT CUSTOMER 1000", "CLEARING IN_TRANSIT 1000"]


def is_resolved_to_be_sent_again(till: Till) -> tuple[str, list[str]]:
    id_ = lost(till)
    till.time_passes(DAY, id_)
    goes_on(till, id_, NotFound())
    till.resolve(id_, "retry")
    till.settle(till.claim(id_), SUCCEEDED)
    return id_, [
        "IN_TRANSIT CUSTOMER 1000", "CUSTOMER IN_TRANSIT 1000", "CLEARING CUSTOMER 1000",
    ]  # fmt: skip


def is_canceled(till: Till) -> tuple[str, list[str]]:
    id_ = lost(till)
    till.cancel(id_)
    till.settle(till.claim(id_), Canceled("sbx_1"))
    return id_, ["IN_TRANSIT CUSTOMER 1000", "CUSTOMER IN_TRANSIT 1000"]


def has_fees(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_charge())
    till.settle(claimed, Succeeded("sbx_1", fees=Fees(59, 941, "USD")))
    return claimed.id, ["CLEARING CUSTOMER 1000", "FEES CLEARING 59"]


def has_fees_that_come_late(till: Till) -> tuple[str, list[str]]:
    id_ = till.charged()
    till.report(id_, Succeeded(f"sbx_{id_}", fees=Fees(59, 941, "USD")))
    till.report(id_, Succeeded(f"sbx_{id_}", fees=Fees(60, 940, "USD")))
    return id_, ["CLEARING CUSTOMER 1000", "FEES CLEARING 59"]


def is_settled_in_another_currency(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_charge())
    till.settle(claimed, Succeeded("sbx_1", fees=EUROS))
    return claimed.id, [
        "CLEARING CUSTOMER 1000",
        "EXCHANGE CLEARING 1000",
        "CLEARING EXCHANGE 1400 EUR",
        "FEES CLEARING 59 EUR",
    ]


def is_set_aside_and_let_go(till: Till) -> tuple[str, list[str]]:
    id_ = till.authorized()
    till.cancel(id_)
    till.settle(till.claim(id_), Canceled("sbx_1"))
    return id_, []


def is_captured_in_parts(till: Till) -> tuple[str, list[str]]:
    id_ = till.authorized()
    till.capture(a_capture(id_, amount=300, final=False))
    till.settle(till.claim(id_), Authorized("sbx_1", captured=300))
    till.capture(a_capture(id_, amount=200, final=False))
    till.settle(till.claim(id_), TIMEOUT)
    goes_on(till, id_, Authorized("sbx_1", captured=500))
    till.capture(a_capture(id_, amount=100))
    till.settle(till.claim(id_), Succeeded("sbx_1", captured=600))
    return id_, [
        "CLEARING CUSTOMER 300",
        "IN_TRANSIT CUSTOMER 200",
        "CLEARING IN_TRANSIT 200",
        "CLEARING CUSTOMER 100",
    ]


def is_captured_in_part_and_the_rest_is_refused(till: Till) -> tuple[str, list[str]]:
    id_ = till.authorized()
    till.capture(a_capture(id_, amount=300, final=False))
    till.settle(till.claim(id_), Authorized("sbx_1", captured=300))
    till.capture(a_capture(id_, amount=200))
    till.settle(till.claim(id_), TIMEOUT)
    goes_on(till, id_, NO)
    till.cancel(id_)
    till.settle(till.claim(id_), Succeeded("sbx_1", captured=300))
    return id_, ["CLEARING CUSTOMER 300", "IN_TRANSIT CUSTOMER 200", "CUSTOMER IN_TRANSIT 200"]


def more_was_captured_at_the_processor(till: Till) -> tuple[str, list[str]]:
    id_ = till.authorized()
    till.capture(a_capture(id_, amount=300))
    till.settle(till.claim(id_), TIMEOUT)
    goes_on(till, id_, Succeeded("sbx_1", captured=800))
    return id_, ["IN_TRANSIT CUSTOMER 300", "CLEARING IN_TRANSIT 300", "CLEARING CUSTOMER 500"]


def is_refunded(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_refund(till.charged(), amount=400))
    till.settle(claimed, SUCCEEDED)
    return claimed.id, ["CUSTOMER REFUNDS_PAYABLE 400", "REFUNDS_PAYABLE CLEARING 400"]


def is_refunded_and_the_bank_returns_it(till: Till) -> tuple[str, list[str]]:
    id_, so_far = is_refunded(till)
    till.report(id_, Declined("refund_failed", "returned", "The account is closed."))
    return id_, [*so_far, "CLEARING CUSTOMER 400"]


def is_refused_a_refund(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_refund(till.charged(), amount=400))
    till.settle(claimed, NO)
    return claimed.id, ["CUSTOMER REFUNDS_PAYABLE 400", "REFUNDS_PAYABLE CUSTOMER 400"]


def is_refunded_in_the_dark(till: Till) -> tuple[str, list[str]]:
    claimed = till.claim(a_refund(till.charged(), amount=400))
    till.settle(claimed, TIMEOUT)
    goes_on(till, claimed.id, SUCCEEDED)
    return claimed.id, [
        "CUSTOMER REFUNDS_PAYABLE 400",
        "REFUNDS_PAYABLE IN_TRANSIT 400",
        "IN_TRANSIT CLEARING 400",
    ]


def is_refunded_before_it_is_there(till: Till) -> tuple[str, list[str]]:
    charge = a_charge()
    refund = a_refund(charge, amount=400)
    till.create(refund)
    assert posted(till, refund.id) == []
    till.settle(till.claim(charge), SUCCEEDED)
    till.time_passes(DAY / 1000, refund.id)
    till.settle(till.claim(refund.id), SUCCEEDED)
    return refund.id, ["CUSTOMER REFUNDS_PAYABLE 400", "REFUNDS_PAYABLE CLEARING 400"]


def a_dispute_is_lost(till: Till) -> tuple[str, list[str]]:
    id_ = till.charged()
    till.report_all(told(id_))
    till.report_all(told(id_, "lost", told_at=later(1)))
    return of(till, id_)["id"], ["DISPUTES CLEARING 1000", "CUSTOMER DISPUTES 1000"]


def a_dispute_is_won(till: Till) -> tuple[str, list[str]]:
    id_ = till.charged()
    till.report_all(told(id_, "warning_needs_response"))
    till.report_all(told(id_, "under_review", told_at=later(1), amount=900))
    till.report_all(told(id_, "won", told_at=later(2), amount=900))
    return of(till, id_)["id"], ["DISPUTES CLEARING 900", "CLEARING DISPUTES 900"]


LIVES: list[Callable[[Till], tuple[str, list[str]]]] = [
    succeeds, is_declined, is_lost_and_found, is_lost_and_was_not_made,
    is_lost_and_waits_for_its_customer, loses_its_worker, is_resolved_as_paid,
    is_resolved_to_be_sent_again, is_canceled, has_fees, has_fees_that_come_late,
    is_settled_in_another_currency, is_set_aside_and_let_go, is_captured_in_parts,
    is_captured_in_part_and_the_rest_is_refused, more_was_captured_at_the_processor, is_refunded,
    is_refunded_and_the_bank_returns_it, is_refused_a_refund, is_refunded_in_the_dark,
    is_refunded_before_it_is_there, a_dispute_is_lost, a_dispute_is_won,
]  # fmt: skip


@every("life", LIVES)
def test_every_move_has_its_entries(
    till: Till, life: Callable[[Till], tuple[str, list[str]]]
) -> None:
    id_, expected = life(till)
    assert posted(till, id_) == expected


def test_whatever_happened_the_promises_are_kept(books: Till) -> None:
    for life in LIVES:
        life(books)
    assert broken(books.engine) == []
    an_hour_passes(books.engine)
    sealed = seal_all(books.database, part=10)
    assert len(sealed) > 3
    assert (
        sum(one.postings for one in sealed)
        == books.query("SELECT count(*) AS n FROM ledger_postings")[0]["n"]
    )
    assert broken(books.engine) == []


def test_a_posting_stands_in_the_transaction_of_its_move(books: Till) -> None:
    claimed = books.claim(a_charge())
    with books.engine.connect() as connection:
        database_steps.settle(
            Transaction(connection),
            [Settlement(claimed, "charge", SUCCEEDED)],
            policies=books.policies,
            dice=lambda: 0.0,
        )
        connection.rollback()
    assert posted(books, claimed.id) == []


def test_what_counts_is_the_moment_of_the_charge(till: Till) -> None:
    id_ = till.charged()
    (row,) = till.query("SELECT * FROM ledger_postings WHERE object_id = :id", id=id_)
    assert row["effective_at"] == till.row(id_)["settled_at"]


@every(
    "change",
    [
        "UPDATE ledger_postings SET amount = 1",
        "DELETE FROM ledger_postings",
        "TRUNCATE ledger_postings",
        "UPDATE ledger_books SET producer = 'me'",
        "DELETE FROM ledger_seals",
        "UPDATE ledger_balances SET balance = 0",
    ],
)
def test_what_was_written_stays(till: Till, change: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        till.put(change)


def test_one_who_changes_an_old_row_is_found_out(books: Till) -> None:
    """As in psql, by somebody who may do everything."""
    id_ = books.charged()
    an_hour_passes(books.engine)
    seal_all(books.database)
    unguarded(
        books,
        # Both in the state and in the ledger, so that the two agree.
        "UPDATE ledger_postings SET amount = 900",
        f"UPDATE charges SET amount = 900 WHERE id = '{id_}'",
        "UPDATE ledger_balances SET balance = balance * 9 / 10",
        "UPDATE ledger_days SET amount = amount * 9 / 10",
    )
    (found,) = broken(books.engine)
    assert found.startswith("the seals are unbroken: ")


# --- Sealing ---


def test_an_hour_is_sealed_when_it_is_over(books: Till) -> None:
    books.charged()
    assert seal_all(books.database) == []
    an_hour_passes(books.engine)
    (sealed,) = seal_all(books.database)
    assert sealed.postings == 1
    assert sealed.until.minute == sealed.until.second == 0
    assert seal_all(books.database) == []


def test_two_who_seal_at_once_make_one_seal(books: Till) -> None:
    books.charged()
    an_hour_passes(books.engine)
    sealed: list[Any] = []
    runs = [
        threading.Thread(target=lambda: sealed.extend(seal_all(books.database))) for _ in range(4)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(sealed) == 1
    assert broken(books.engine) == []


def test_an_hour_waits_for_those_who_still_write_into_it(books: Till) -> None:
    """What they commit later is older than what was committed before: it must not be missed."""
    moment = timedelta(milliseconds=50)
    unguarded(books, "UPDATE ledger_seals SET until = now()")
    with books.engine.begin() as slow:
        _post(slow, "ch_slow")
        books.charged()
        # The hours after it began are over; as long as it writes, none of them is.
        wait_for(lambda: _seal_until(books, moment) is not None, what="the hour before to be over")
        wait_for(lambda: _ends_before_now(books, moment), what="its own hour to be over")
        seal_all(books.database, every=moment)
        assert books.query("SELECT sum(postings) AS n FROM ledger_seals")[0]["n"] == 0
    wait_for(lambda: _seal_until(books, moment) and _sealed(books) == 2, what="both to be sealed")
    assert _named(broken(books.engine)) == {"every entry has its pair"}  # it has no book


def _seal_until(till: Till, moment: timedelta) -> list[Any]:
    return seal_all(till.database, every=moment)


def _sealed(till: Till) -> int:
    count: int = till.query("SELECT sum(postings) AS n FROM ledger_seals")[0]["n"]
    return count


def _ends_before_now(till: Till, moment: timedelta) -> bool:
    (row,) = till.query(
        "SELECT max(until) + 3 * CAST(:moment AS interval) < statement_timestamp() AS over"
        " FROM ledger_seals",
        moment=str(moment.total_seconds()),
    )
    return bool(row["over"])


def _named(found: list[str]) -> set[str]:
    return {one.split(":")[0] for one in found}


def test_a_clock_that_is_set_back_writes_into_no_seal(books: Till) -> None:
    with books.engine.begin() as connection:
        ahead = connection.execute(
            text(
                "INSERT INTO ledger_seals (until, postings, hash)"
                " VALUES (clock_timestamp() + interval '1 hour', 0, 'x') RETURNING until"
            )
        ).scalar_one()
    id_ = books.charged()
    (row,) = books.query("SELECT at FROM ledger_postings WHERE object_id = :id", id=id_)
    assert row["at"] == ahead


def _post(connection: Any, object_id: str) -> None:
    connection.execute(
        table_of(LedgerPosting)
        .insert()
        .values(
            {
                "at": func.clock_timestamp(),
                "effective_at": func.now(),
                "amount": 1,
                "book": 1,
                "debit": 2,
                "credit": 1,
                "object_id": object_id,
            }
        )
    )


# --- Balances ---


def test_a_balance_is_known_at_any_moment(books: Till) -> None:
    books.charged()
    first = books.query("SELECT max(at) AS at FROM ledger_postings")[0]["at"]
    an_hour_passes(books.engine)
    seal_all(books.database)
    is_refunded(books)
    lost(books)
    with books.engine.connect() as connection:
        now = {(one.account.name): one.balance for one in balances(connection)}
        then = {one.account.name: one.balance for one in balances(connection, at=first)}
        never = balances(connection, at=datetime(2000, 1, 1, tzinfo=UTC))
    assert now == {"CUSTOMER": -2600, "CLEARING": 1600, "IN_TRANSIT": 1000, "REFUNDS_PAYABLE": 0}
    assert then == {"CUSTOMER": -1000, "CLEARING": 1000}
    assert never == []


def test_pairs_that_are_out_of_balance_are_refused() -> None:
    book = Book("shop", "sandbox", "USD", livemode=False)
    with pytest.raises(ValueError, match="out of balance in USD"):
        list(pairs({(book, "money", Account.CLEARING): 1}))


# --- What was there before the ledger ---


def _forget(till: Till) -> None:
    """The database as it was before the ledger."""
    unguarded(
        till,
        "DELETE FROM ledger_postings",
        "UPDATE ledger_filling SET finished_at = NULL, walked = '', started_at = clock_timestamp()",
    )


def _fill(till: Till, *, limit: int = 3) -> int:
    posted = 0
    for name in filling.TABLES:
        while True:
            with till.database.transaction() as transaction:
                page = filling.fill(transaction, name, limit=limit)
            if page is None:
                break
            posted += page.posted
    return posted


def test_what_was_there_before_is_posted_page_by_page(books: Till) -> None:
    for life in LIVES:
        life(books)
    _forget(books)
    assert _named(broken(books.engine)) == {"the ledger is whole"}
    assert _fill(books) > 20
    assert broken(books.engine) == []
    with books.database.transaction() as transaction:
        filling.again(transaction)
    assert _fill(books) == 0
    assert broken(books.engine) == []


def test_what_was_there_before_counts_when_it_happened(books: Till) -> None:
    dispute, _ = a_dispute_is_lost(books)
    charge = lost(books)
    _forget(books)
    long_ago = datetime(2020, 2, 3, tzinfo=UTC)
    for table in ("charges", "disputes"):
        unguarded(books, f"UPDATE {table} SET created_at = '{long_ago:%Y-%m-%d}Z'")
    _fill(books)
    rows = books.query("SELECT object_id, effective_at FROM ledger_postings")
    counts = {row["object_id"]: row["effective_at"] for row in rows}
    assert (counts[dispute], counts[charge]) == (long_ago, long_ago)
    taken = books.query("SELECT id, settled_at FROM charges WHERE settled_at IS NOT NULL")
    assert all(counts[row["id"]] == row["settled_at"] for row in taken)


def test_what_moves_meanwhile_is_posted_once(books: Till) -> None:
    first, second = lost(books), lost(books)
    _forget(books)
    goes_on(books, first, SUCCEEDED)
    assert posted(books, first) == ["CLEARING IN_TRANSIT 1000"]
    _fill(books)
    assert posted(books, first)[1:] == ["IN_TRANSIT CUSTOMER 1000"]
    goes_on(books, second, NO)
    assert broken(books.engine) == []
