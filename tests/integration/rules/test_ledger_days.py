"""What days brought is counted once, and reports are the same however much of it is counted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from payments.finance.takings import PERIODS, Takings, takings
from payments.keeping.retention import Keep
from payments.ledger import days, sealing
from service.settings import Settings
from service.wiring import services
from tests.integration.rules.test_ledger import LIVES, books, is_refunded, posted, unguarded
from tests.support.factories import Till
from tests.support.ledger import an_hour_passes, broken, count_days
from worker.sweeps.looking import Look
from worker.sweeps.sweeping import Sweeper

__all__ = ["books"]  # a fixture
KEEP = Keep(90, 30, 90, 30, 30)


def test_a_report_is_the_same_however_much_of_it_is_counted(books: Till) -> None:
    for life in LIVES:
        life(books)
    unguarded(
        books,
        # Over four days, the first and the last moment of one among them.
        "UPDATE ledger_postings SET effective_at = date_trunc('day', now(), 'UTC')"
        " + (mod(id, 9) - 4) * interval '12 hours' - mod(id, 2) * interval '1 microsecond'",
    )
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    read = reports(books, midnight)
    assert len({one.period for one in read[0]}) > 3
    an_hour_passes(books.engine)
    with books.database.transaction() as transaction:
        while sealing.seal(transaction, part=3):
            pass
    for _ in range(3):
        with books.database.transaction() as transaction:
            assert days.count(transaction, part=1) == 1
        assert reports(books, midnight) == read
        assert broken(books.engine) == []
    count_days(books.database)
    assert reports(books, midnight) == read
    late = books.charged(amount=5)  # what is not counted is read beside it
    assert gross(reports(books, midnight)[0]) == gross(read[0]) + 5
    assert posted(books, late) == ["CLEARING CUSTOMER 5"]


def gross(found: list[Takings]) -> int:
    return sum(one.gross for one in found if one.currency == "USD")


def reports(till: Till, midnight: datetime) -> list[list[Takings]]:
    """By day and by month, of whole days, of parts of them, and of a part of one."""
    hours = ((-96, 96), (-36, 12), (-48, -12), (-12, 12), (-20, -3), (0, 24), (3, 13))
    with till.engine.connect() as connection:
        return [
            takings(
                connection,
                period,
                midnight + timedelta(hours=since),
                midnight + timedelta(hours=until),
                livemode=False,
            )
            for period in PERIODS
            for since, until in hours
        ]


def test_seals_that_another_version_made_are_counted_by_the_sweep(
    engine: Engine, make_settings: Callable[..., Settings], books: Till
) -> None:
    is_refunded(books)
    an_hour_passes(engine)
    with books.database.transaction() as transaction:
        while sealing.seal(transaction, part=1):
            pass
    given = services(make_settings(), lambda _: None)
    assert "ledger" in Look(engine, keep=KEEP, processors=[])()
    assert Sweeper(given, None).sweep("ledger")  # type: ignore[arg-type]
    given.engine.dispose()
    counted = books.query(
        "SELECT until = (SELECT max(until) FROM ledger_seals) AS all_of_them"
        " FROM ledger_days_counted"
    )
    assert counted == [{"all_of_them": True}]
    assert broken(engine) == []


def test_of_what_is_counted_no_posting_is_read_again(books: Till) -> None:
    is_refunded(books)
    unguarded(
        books,
        "INSERT INTO ledger_postings (at, effective_at, amount, book, debit, credit, object_id)"
        " SELECT at, at, 1, (SELECT min(id) FROM ledger_books), 2, 1, 'ch_1'"
        " FROM (SELECT date_trunc('day', now(), 'UTC') - n * interval '2 minutes' AS at"
        "       FROM generate_series(1, 40000) AS n ORDER BY n DESC) AS made",
    )
    books.put("UPDATE ledger_days_counted SET until = date_trunc('day', now(), 'UTC')")
    books.put("ANALYZE ledger_postings")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    read = text(
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
        " FROM pg_stat_xact_user_tables WHERE relname = 'ledger_postings'"
    )
    with books.engine.connect() as connection:
        before = connection.execute(read).scalar_one()
        since, until = midnight - timedelta(days=50), midnight + timedelta(days=1)
        assert takings(connection, "month", since, until, livemode=False)
        # Those of today, which are not counted yet.
        assert connection.execute(read).scalar_one() - before < 100
