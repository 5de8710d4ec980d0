"""`billing reconcile` on real tables: what it finds, repairs, leaves alone, and goes on with."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from benchmarks.reconcile import PERIOD, SINCE, UNTIL, by_code, charge_id, fill, plant, with_fees
from payments.audit.reconcile import runs
from payments.audit.reconcile.reading import PAGE
from payments.audit.reconcile.runs import TakenOver
from payments.processors.port import Record, RecordsUnavailable
from payments.processors.sandbox import Sandbox
from payments.transaction import Database
from service import wiring
from tests.support.command import Answer, Billing
from tests.support.counter import Counter, counter
from tests.support.every import every

RECORDS = 5_000
Processor = Callable[[Callable[[Any], Any]], None]


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Processor:
    """`processor(make)`: what the command has in place of the sandbox."""
    return lambda make: monkeypatch.setitem(wiring.BUILT_IN, "sandbox", make)  # type: ignore[arg-type]


def an_hour_passes(engine: Engine) -> None:
    """Everything happened an hour earlier."""
    with engine.begin() as connection:
        for table, columns in {
            "charges": ("first_called_at", "created_at", "settled_at"),
            "refunds": ("first_called_at", "created_at", "settled_at"),
            "sandbox_ledger": ("moved_at",),
        }.items():
            earlier = ", ".join(f"{name} = {name} - interval '1 hour'" for name in columns)
            connection.execute(text(f"UPDATE {table} SET {earlier}"))


def lately() -> tuple[str, ...]:
    """A period that ends now."""
    now = datetime.now(UTC)
    return "--from", (now - timedelta(days=1)).isoformat(), "--to", now.isoformat()


def told(answer: Answer) -> tuple[list[Any], Any]:
    """The differences and the sum of an answer in JSON lines."""
    *found, total = map(json.loads, answer.out.splitlines())
    assert (answer.code, answer.err) == (int(total["differences"] > total["repaired"]), "")
    return found, total


def reconciled(billing: Billing, *arguments: str) -> tuple[list[Any], Any]:
    return told(billing("reconcile", *(arguments or lately()), "--json"))


def codes(found: list[Any]) -> list[str]:
    return sorted(one["code"] for one in found)


# --- what is found -------------------------------------------------------------------------------


def test_every_planted_difference_is_found_and_no_other(
    billing: Billing, engine: Engine, processor: Processor
) -> None:
    with engine.begin() as connection:
        fill(connection, RECORDS)
        planted = plant(connection, RECORDS, 50)
    processor(with_fees(frozenset(planted["fee_differs"])))
    found, total = reconciled(billing, *PERIOD)
    assert by_code(found) == planted
    assert {code: len(ids) for code, ids in planted.items()} == {
        code: count for code, count in total["by_code"].items() if count
    }
    assert (total["pending"], total["undecided"]) == (0, 0)
    mended, total = reconciled(billing, *PERIOD, "--apply")
    assert by_code(mended) == planted
    repaired = {one["id"] for one in mended if one["repaired"]}
    assert repaired == {one["id"] for one in found if one["can_be_repaired"]}
    assert 0 < len(repaired) == total["repaired"] < 50
    left, total = reconciled(billing, *PERIOD)
    assert by_code(left) == {**planted, "state_differs": planted["state_differs"] - repaired}
    assert total["repaired"] == 0


def test_a_day_of_everything_agrees(billing: Billing, engine: Engine, till: Counter) -> None:
    paid = till.charge()
    till.refund(paid["id"], amount=300)
    till.charge(payment_method_id="pm_card_chargeDeclined")
    till.charge(payment_method_id="pm_sandbox_requires_action")
    bad = till.charge(payment_method_id="pm_sandbox_refund_fails_later")
    till.refund(bad["id"])
    till.query("UPDATE sandbox_requests SET turns_at = now() WHERE turns_at IS NOT NULL")
    till.hear_reports()
    an_hour_passes(engine)
    found, total = reconciled(billing)
    assert (found, total["pending"]) == ([], 1)
    assert (total["agree"], total["records"]) == (4, 5)


def test_what_happens_right_now_is_pending(billing: Billing, till: Counter) -> None:
    till.charge(payment_method_id="pm_sandbox_timeout_after")
    done = till.charge()
    till.query("DELETE FROM sandbox_ledger WHERE object_id = :id", id=done["id"])
    found, total = reconciled(billing)
    assert (found, total["pending"]) == ([], 2)


def test_a_record_without_our_id_is_found_by_its_reference(
    billing: Billing, engine: Engine, till: Counter, processor: Processor
) -> None:
    charge = till.charge()
    till.refund(charge["id"], amount=1)
    till.charge()
    an_hour_passes(engine)

    class Nameless(Sandbox):
        def records(self, *period: datetime, after: str | None = None) -> Iterator[Record]:
            for line in super().records(*period, after=after):
                stranger = "ch_stranger" if line.kind == "charge" else None
                yield replace(line, object_id=stranger)

    processor(lambda settings: Nameless(wiring.open_sandbox(settings.database_url)))
    found, total = reconciled(billing)
    assert (found, total["agree"]) == ([], 3)


def test_records_behind_which_no_payment_is_are_counted(
    billing: Billing, engine: Engine, till: Counter, processor: Processor
) -> None:
    till.charge()
    an_hour_passes(engine)

    class Busy(Sandbox):
        def records(self, *period: datetime, after: str | None = None) -> Iterator[Record]:
            for line in super().records(*period, after=after):
                yield line
                yield line  # pages may overlap
                for kind in ("payout", "fee", "dispute"):
                    yield replace(line, id=kind, kind=kind, object_id=None)  # type: ignore[arg-type]

    processor(lambda settings: Busy(wiring.open_sandbox(settings.database_url)))
    found, total = reconciled(billing)
    assert (found, total["compared"]) == ([], 1)
    assert total["other_records"] == {"dispute": 1, "fee": 1, "payout": 1}


# --- what is repaired ----------------------------------------------------------------------------


def test_a_repair_is_a_report_and_moves_no_money(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    lost = till.charge(payment_method_id="pm_sandbox_timeout_after")["id"]
    paid = till.charge(payment_method_id="pm_sandbox_refund_fails_later")["id"]
    refund = till.refund(paid)["id"]
    till.query("UPDATE charges SET phase = 'needs_review' WHERE id = :id", id=lost)
    till.query("UPDATE sandbox_requests SET turns_at = now() WHERE turns_at IS NOT NULL")
    till.sandbox.pull_events(100)  # and nobody hears of it
    an_hour_passes(engine)
    ledger = till.query("SELECT * FROM sandbox_ledger ORDER BY id")
    calls = till.query("SELECT sum(calls) AS calls FROM sandbox_requests")

    found, _ = reconciled(billing)
    assert {one["id"]: one["code"] for one in found} == dict.fromkeys(
        (lost, refund), "state_differs"
    )
    assert all(one["advice"].startswith("--apply") for one in found)
    found, total = reconciled(billing, *lately(), "--apply")
    assert [one["repaired"] for one in found] == [True, True]
    assert total["repaired"] == 2

    (charge,) = till.query("SELECT * FROM charges WHERE id = :id", id=lost)
    (returned,) = till.query("SELECT * FROM refunds WHERE id = :id", id=refund)
    assert (charge["state"], returned["state"]) == ("succeeded", "failed")
    (kept,) = till.query("SELECT refund_reserved FROM charges WHERE id = :id", id=paid)
    assert kept["refund_reserved"] == 0
    for id_, event in ((lost, "charge.succeeded"), (refund, "refund.failed")):
        *_, attempt = till.query(
            "SELECT verb, worker FROM attempts WHERE object_id = :id ORDER BY number", id=id_
        )
        assert attempt == {"verb": "report", "worker": "sandbox"}
        events = "SELECT type FROM events WHERE object_id = :id ORDER BY sequence DESC LIMIT 1"
        assert till.query(events, id=id_) == [{"type": event}]
    assert till.query("SELECT * FROM sandbox_ledger ORDER BY id") == ledger
    assert till.query("SELECT sum(calls) AS calls FROM sandbox_requests") == calls
    assert reconciled(billing)[0] == []


def test_what_is_not_surely_safe_is_left_with_the_reason(
    billing: Billing, engine: Engine, till: Counter
) -> None:
    ids = [till.charge()["id"] for _ in range(3)]
    till.query("DELETE FROM sandbox_ledger WHERE object_id = :id", id=ids[0])
    till.query("UPDATE sandbox_ledger SET amount = 5 WHERE object_id = :id", id=ids[1])
    till.query(
        "UPDATE charges SET state = 'failed', failure_code = 'resolved_failed' WHERE id = :id",
        id=ids[2],
    )
    an_hour_passes(engine)
    before = till.query("SELECT * FROM charges ORDER BY id")
    found, total = reconciled(billing, *lately(), "--apply")
    assert codes(found) == ["amount_differs", "only_ours", "state_differs"]
    assert total["repaired"] == 0
    assert all(one["advice"] and not one["can_be_repaired"] for one in found)
    assert till.query("SELECT * FROM charges ORDER BY id") == before


# --- what breaks off -----------------------------------------------------------------------------


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
def tired(engine: Engine, processor: Processor) -> Tired:
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


# --- payouts -------------------------------------------------------------------------------------


def test_a_payout_is_tied_to_its_charges_and_adds_up(
    billing: Billing, engine: Engine, processor: Processor
) -> None:
    with engine.begin() as connection:
        fill(connection, 100)
    payout = f"sbx_po_{SINCE:%Y%m%d}_USD"
    found, total = reconciled(billing, "--payout", payout)
    assert (found, total["other_records"], total["payout_id"]) == ([], {"payout": 1}, payout)
    assert total["agree"] == total["compared"] == total["records"] - 1

    class Short(Sandbox):
        def records_of_payout(
            self, payout_id: str, *, after: str | None = None
        ) -> Iterator[Record]:
            for line in super().records_of_payout(payout_id, after=after):
                missing = 5 if line.kind == "payout" else 0
                yield replace(line, net=(line.net or 0) + missing)

    processor(lambda settings: Short(wiring.open_sandbox(settings.database_url)))
    ((short,), _) = reconciled(billing, "--payout", payout)
    assert (short["code"], short["processor_reference"]) == ("payout_differs", payout)


def test_a_payout_that_is_none_is_refused(billing: Billing) -> None:
    answer = billing("reconcile", "--payout", "sbx_po_20261128_USD", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert (answer.error["code"], answer.error["param"]) == ("not_found", "payout")
    assert billing("reconcile", "--resume").code == 1


def test_a_card_number_is_no_payout(billing: Billing) -> None:
    answer = billing("reconcile", "--payout", "4242424242424242")
    assert answer.code == 1
    assert "4242" not in answer.err


# --- how it is told ------------------------------------------------------------------------------


@pytest.fixture
def strange(engine: Engine, till: Counter) -> str:
    """A charge under which a processor with a taste for spreadsheets moved money again."""
    id_ = till.charge(customer_id="ada@example.org", description="Ada's tea")["id"]
    till.query(
        "INSERT INTO sandbox_ledger (object_id, charge_id, reference, direction, amount, currency)"
        " SELECT object_id, charge_id, '=HYPERLINK(\"https://x\")', direction, amount, currency"
        " FROM sandbox_ledger"
    )
    till.query("UPDATE charges SET processor_reference = '=1+1'")
    an_hour_passes(engine)
    return str(id_)


def test_csv_runs_nothing_in_a_spreadsheet(billing: Billing, strange: str) -> None:
    answer = billing("reconcile", *lately(), "--csv")
    assert answer.code == 1
    (row,) = csv.DictReader(io.StringIO(answer.out))
    assert (row["code"], row["id"]) == ("duplicate_at_processor", strange)
    assert row["processor_reference"] == "'=1+1"
    assert (row["our_amount"], row["our_currency"], row["their_amount"]) == ("1000", "USD", "1000")
    assert "1 differences" in answer.err


def test_people_get_a_table_and_no_bar_where_no_terminal_is(billing: Billing, strange: str) -> None:
    answer = billing("reconcile", *lately())
    assert (answer.code, answer.err) == (1, "")
    assert "duplicate_at_processor" in answer.out
    assert strange in answer.out
    assert "1 charges and refunds compared: 0 agree, 0 pending; 1 differences" in answer.out


def test_nothing_about_a_person_is_told(billing: Billing, strange: str) -> None:
    for how in ("--json", "--csv"):
        assert "ada" not in billing("reconcile", *lately(), how).out.lower()


def test_what_agrees_ends_well(billing: Billing) -> None:
    answer = billing("reconcile")
    assert (answer.code, answer.err) == (0, "nothing differs\n")


@every(
    "arguments, said",
    [
        (["--json", "--csv"], "give one of --csv and --json"),
        (["--payout", "po_1", "--to", "2026-11-20"], "a payout has records of its own"),
        (["--resume", "--from", "2026-11-20"], "it goes on with its own"),
        (["--from", "2100-01-01"], "--from must be before --to"),
        (["--from", "2026-11-20", "--to", "2026-11-20"], "--from must be before --to"),
        (["--to", "0001-01-01"], "--from and --to are years from 2000 to 2998"),
        (["--from", "9999-12-31T23:59:59"], "--from and --to are years from 2000 to 2998"),
        (["--processor", "acme"], "no processor is named 'acme'; there is sandbox"),
    ],
)
def test_what_does_not_go_together_is_refused(
    billing: Billing, arguments: list[str], said: str
) -> None:
    answer = billing("reconcile", *arguments)
    assert answer.code == 2
    assert said in " ".join(answer.err.replace("│", " ").split())
