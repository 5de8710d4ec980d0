"""Payouts, and how a table, JSON and CSV tell what differs."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from benchmarks.reconcile import SINCE, fill
from payments.audit.reconcile import payouts
from payments.audit.reconcile.runs import Run
from payments.ledger.balances import balances
from payments.processors.port import Record
from payments.processors.sandbox import Sandbox
from service import wiring
from tests.support.command import Billing
from tests.support.counter import Counter
from tests.support.every import every
from tests.support.reconciling import Replace, an_hour_passes, lately, reconciled


def test_a_payout_is_tied_to_its_charges_and_adds_up(
    billing: Billing, engine: Engine, processor: Replace
) -> None:
    with engine.begin() as connection:
        fill(connection, 100)
    payout = f"sbx_po_{SINCE:%Y%m%d}_USD"
    found, total = reconciled(billing, "--payout", payout)
    assert (found, total["other_records"], total["payout_id"]) == ([], {"payout": 1}, payout)
    assert total["agree"] == total["compared"] == total["records"] - 1
    # It is posted, and read again it is the same one.
    paid = _paid_out(billing)
    assert paid["bank"] == -paid["clearing"] > 0
    reconciled(billing, "--payout", payout)
    assert _paid_out(billing) == paid

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


def test_a_payout_that_the_bank_sends_back_is_posted_both_ways(till: Counter) -> None:
    """The second record comes days later, in another walk, under the id of the same payout."""
    ways = {1: -5_000, 2: 5_000}
    for run, net in ways.items():
        till.query(
            "INSERT INTO reconciled_records"
            " (reconciliation_id, id, reference, kind, state, amount, currency, moved_at, net)"
            " VALUES (:run, :id, 'po_1', 'payout', 'succeeded', 5000, 'USD', now(), :net)",
            run=run,
            id=f"txn_{run}",
            net=net,
        )
    posted = []
    for run in (1, 1, 2, 2):
        with till.database.transaction() as transaction:
            walk = Run(run, "stripe", *[None] * 6, 1, True, SINCE)  # type: ignore[arg-type]
            posted.append(payouts.post(transaction, walk, livemode=True))
    assert posted == [1, 0, 1, 0]
    with till.engine.connect() as connection:
        assert {one.balance for one in balances(connection)} == {0}


def _paid_out(billing: Billing) -> dict[str, int]:
    found = billing("ledger", "balance", "--test", "--json").json
    return {one["account"]: one["balance"] for one in found if one["producer"] == "*"}


def test_a_payout_that_is_none_is_refused(billing: Billing) -> None:
    answer = billing("reconcile", "--payout", "sbx_po_20261128_USD", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert (answer.error["code"], answer.error["param"]) == ("not_found", "payout")
    assert billing("reconcile", "--resume").code == 1


def test_a_card_number_is_no_payout(billing: Billing) -> None:
    answer = billing("reconcile", "--payout", "4242424242424242")
    assert answer.code == 1
    assert "4242" not in answer.err


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
    assert "1 charges and refunds compared: 0 agree, 0 pending\n1 differences" in answer.out


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
