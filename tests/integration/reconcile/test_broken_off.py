"""What breaks off goes on where it was, in one process, and is forgotten in the end."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from benchmarks.reconcile import PERIOD, SINCE, UNTIL, charge_id, fill
from payments.audit.reconcile import runs
from payments.audit.reconcile.record_reader import PAGE
from payments.audit.reconcile.runs import TakenOver
from payments.processors.port import Record, RecordsUnavailable
from payments.processors.sandbox import Sandbox
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.counter import Counter
from tests.support.reconciling import Replace, codes, reconciled


class Tired(Sandbox):
    """A processor that stops in the middle, until it is asked again; it remembers from where."""

    lines_left = 3 * PAGE + 10
    asked_from: list[str | None]

    def records(self, *period: datetime, after: str | None = None) -> Iterator[Record]:
        self.asked_from.append(after)
        for line in super().records(*period, after=after):
            if self.lines_left == 0:
                self.lines_left = 10**9
                raise RecordsUnavailable("503")
            self.lines_left -= 1
            yield line


@pytest.fixture
def tired(engine: Engine, processor: Replace) -> Tired:
    with engine.begin() as connection:
        fill(connection, 3_000)
    one = Tired(engine)
    one.asked_from = []
    processor(lambda _: one)
    return one


def test_what_breaks_off_goes_on_where_it_was(
    billing: Billing, engine: Engine, tired: Tired
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM sandbox_ledger WHERE object_id = ANY(:ids)"),
            {"ids": [charge_id(3), charge_id(2_993)]},
        )
    broken = billing("reconcile", *PERIOD, "--json")
    assert (broken.code, broken.out) == (1, "")
    assert broken.error["code"] == "processor_unavailable"
    assert f"{3 * PAGE} were read: go on with --resume" in broken.error["detail"]

    found, total = reconciled(billing, "--resume")
    assert {one["id"] for one in found} == {charge_id(3), charge_id(2_993)}
    assert codes(found) == ["only_ours", "only_ours"]
    assert datetime.fromisoformat(total["since"]) == SINCE
    first, second = tired.asked_from
    with engine.connect() as connection:
        kept = connection.execute(
            text("SELECT count(*) FROM sandbox_ledger WHERE id <= CAST(:id AS bigint)"),
            {"id": second},
        ).scalar_one()
        records = connection.execute(text("SELECT count(*) FROM reconciled_records")).scalar_one()
    assert (first, kept, records) == (None, 3 * PAGE, 0)
    assert billing("reconcile", "--resume").code == 1  # nothing is left to go on with


def test_of_two_that_go_on_with_one_only_one_does(engine: Engine) -> None:
    database = Database(engine)
    line = Record(
        id="1", reference="pi_1", kind="charge", state="succeeded", amount=1, currency="USD",
        moved_at=SINCE,
    )  # fmt: skip
    with database.transaction() as transaction:
        run = runs.of_period(transaction, "sandbox", since=SINCE, until=UNTIL)
    with database.transaction() as transaction:
        ahead = runs.keep(transaction, run, [line])
    with database.transaction() as transaction, pytest.raises(TakenOver):
        runs.keep(transaction, run, [line])
    with database.transaction() as transaction:
        runs.finish(transaction, runs.all_read(transaction, ahead), {})
    with database.transaction() as transaction, pytest.raises(TakenOver):
        runs.finish(transaction, ahead, {})


def test_what_nobody_went_on_with_is_forgotten(engine: Engine) -> None:
    database = Database(engine)
    with database.transaction() as transaction:
        old = runs.of_payout(transaction, "sandbox", "po_old")
        new = runs.of_payout(transaction, "sandbox", "po_new")
        transaction.execute(
            text("UPDATE reconciliations SET moved_on_at = now() - :age WHERE id = :id"),
            {"id": old.id, "age": runs.RESUMABLE + timedelta(seconds=1)},
        )
        begun = runs.of_payout(transaction, "sandbox", "po_begun")
        left = transaction.execute(text("SELECT id FROM reconciliations ORDER BY id")).scalars()
        assert list(left) == [new.id, begun.id]


def test_records_are_read_as_far_back_as_their_charges_began(engine: Engine, till: Counter) -> None:
    charge = till.charge()
    now = charge["settled_at"]
    since, until = now - timedelta(hours=1), now + timedelta(hours=1)
    for began, reads_from in ((3, 3), (30, 7)):
        till.query(
            "UPDATE charges SET first_called_at = :began",
            began=since - timedelta(days=began),
        )
        with till.database.transaction() as transaction:
            run = runs.of_period(transaction, "sandbox", since=since, until=until)
        assert run.read_from == since - timedelta(days=reads_from, minutes=10)
        assert run.read_to is not None
        assert run.read_to <= run.started_at
