"""Exports and reports: what they say is what the ledger says, in every format."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from local.embedded.throwaway import Servers
from models.bookkeeping import Account
from payments.access.scopes import CHARGES_READ, Access
from payments.finance import exports, formats
from payments.finance.exports import Export, Format, What
from payments.finance.takings import Takings, takings
from payments.ledger.balances import balances
from payments.payment_errors import InvalidRequest
from service.wiring import open_database
from tests.support import databases
from tests.support.command import Billing
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.factories import a_key
from tests.support.ledger import begin_in_this_hour

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)
NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def books(servers: Servers) -> Iterator[Counter]:
    """Charges, refunds and a dispute of three currencies and two producers, over three days."""
    with databases.fresh(servers.postgres) as url:
        engine = open_database(url)
        with counter(engine) as till:
            _live_through(till)
            yield till
        engine.dispose()


def _live_through(till: Counter) -> None:
    paid = till.charge(amount=1999, producer="shop", description='=HYPERLINK("x")', reference="-1")
    till.refund(paid["id"], amount=500, producer="shop")
    till.charge(amount=500, currency="JPY", producer="shop")
    till.charge(amount=1234, currency="KWD", producer="Shop.2")
    till.charge(producer="shop", payment_method_id="pm_card_chargeDeclined")
    till.charge(amount=700, producer="shop", payment_method_id="pm_sandbox_timeout_after")
    till.charge(amount=1000, producer="shop", payment_method_id="pm_sandbox_fees")
    till.charge(amount=2500, producer="shop", payment_method_id="pm_sandbox_disputed")
    held = till.charge(amount=900, producer="shop", capture="manual")
    till.capture(held["id"], amount=300, producer="shop", idempotency_key=a_key())
    till.query("UPDATE sandbox_events SET next_offer_at = now() WHERE next_offer_at IS NOT NULL")
    till.hear_reports()
    # Spread over the last days of November, whenever this runs.
    with till.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for change in _SPREAD.split(";"):
            connection.exec_driver_sql(change)


_SPREAD = """
    UPDATE charges SET
        created_at = TIMESTAMPTZ '2026-11-28 10:00Z' + amount * interval '1 minute',
        settled_at = CASE WHEN settled_at IS NOT NULL THEN
            TIMESTAMPTZ '2026-11-28 10:00Z' + amount * interval '1 minute' END;
    UPDATE refunds SET created_at = TIMESTAMPTZ '2026-11-30 10:00Z',
        settled_at = TIMESTAMPTZ '2026-11-30 10:00Z';
    UPDATE ledger_postings p SET effective_at = coalesce(c.settled_at, c.created_at)
    FROM charges c WHERE c.id = p.object_id;
    UPDATE ledger_postings SET effective_at = TIMESTAMPTZ '2026-11-30 10:00Z'
    WHERE left(object_id, 3) <> 'ch_'
"""


def written(till: Counter, what: What, format_: Format, **how: Any) -> str:
    """The file."""
    fields = {"since": SINCE, "until": UNTIL, "livemode": False, **how}
    wanted = exports.in_format(Export(what, **fields), format_)
    with till.engine.connect() as connection:
        rows = exports.every(connection, wanted)
        return formats.begin(wanted, format_) + "".join(formats.lines(wanted, format_, rows))


def as_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def reported(till: Counter, period: Any = "month", **how: Any) -> list[Takings]:
    fields = {"since": NOVEMBER, "until": DECEMBER, "livemode": False, **how}
    with till.engine.connect() as connection:
        return takings(connection, period, **fields)


# --- Reports ---


def test_a_month_per_currency(books: Counter) -> None:
    found = {one.currency: one for one in reported(books)}
    assert found["USD"] == Takings(
        "2026-11", "USD", gross=1999 + 1000 + 2500 + 300, refunds=500, disputes=2500, fees=59
    )
    assert found["USD"].net == 5799 - 500 - 2500 - 59
    assert found["JPY"] == Takings("2026-11", "JPY", gross=500)
    assert found["KWD"] == Takings("2026-11", "KWD", gross=1234)


def test_the_days_of_a_month_are_the_month(books: Counter) -> None:
    days, months = reported(books, "day"), reported(books)
    assert len({one.period for one in days}) == 3
    for month in months:
        of_it = [one for one in days if one.currency == month.currency]
        assert sum(one.net for one in of_it) == month.net
        assert sum(one.gross for one in of_it) == month.gross


def test_the_sums_are_those_of_the_ledger(books: Counter) -> None:
    with books.engine.connect() as connection:
        accounts: Tally[tuple[str, Account]] = Tally()
        for one in balances(connection):
            accounts[one.currency, one.account] += one.balance
    for month in reported(books):
        assert month.net - month.payouts == accounts[month.currency, Account.CLEARING]
        assert month.fees == accounts[month.currency, Account.FEES]


def test_the_sums_are_those_of_what_is_exported(books: Counter) -> None:
    month = {one.currency: one for one in reported(books)}["USD"]
    taken = [one for one in as_csv(written(books, "charges", "csv")) if one["currency"] == "USD"]
    back = as_csv(written(books, "refunds", "csv"))
    succeeded = [one for one in taken if one["state"] == "succeeded"]
    assert sum(Decimal(one["amount_captured"]) for one in succeeded) * 100 == month.gross
    assert sum(Decimal(one["amount"]) for one in back) * 100 == month.refunds
    assert sum(Decimal(one["fee"] or 0) for one in succeeded) * 100 == month.fees


def test_a_producer_sees_its_own(books: Counter) -> None:
    shop = Access("shop", frozenset({CHARGES_READ}))
    assert {one.currency for one in reported(books, access=shop)} == {"USD", "JPY"}
    rows = as_csv(written(books, "ledger", "csv", access=shop))
    assert {row["producer"] for row in rows} == {"shop"}
    rows = as_csv(written(books, "charges", "csv", access=shop))
    assert {row["producer"] for row in rows} == {"shop"}


def test_real_money_and_test_money_are_never_in_one(books: Counter) -> None:
    assert reported(books, livemode=True) == []
    assert as_csv(written(books, "ledger", "csv", livemode=True)) == []


@every(
    "times",
    [
        {"since": DECEMBER, "until": NOVEMBER},
        {"since": NOVEMBER, "until": NOVEMBER},
        {"since": SINCE, "until": UNTIL},
    ],
)
def test_a_time_that_is_none_is_refused(books: Counter, times: dict[str, datetime]) -> None:
    with pytest.raises(InvalidRequest, match=r"from|days"):
        reported(books, **times)


# --- Exports ---


def test_amounts_have_all_places_of_their_currency(books: Counter) -> None:
    rows = as_csv(written(books, "charges", "csv"))
    amounts = {row["currency"]: row["amount"] for row in rows if row["producer"] != "tests"}
    assert amounts["JPY"] == "500"
    assert amounts["KWD"] == "1.234"
    assert "19.99" in {row["amount"] for row in rows}


def test_a_spreadsheet_runs_nothing_of_it(books: Counter) -> None:
    (row,) = [r for r in as_csv(written(books, "charges", "csv")) if r["amount"] == "19.99"]
    assert row["description"] == '\'=HYPERLINK("x")'
    assert row["reference"] == "'-1"


def test_what_ended_in_a_time_is_exported_in_its_order(books: Counter) -> None:
    rows = as_csv(written(books, "charges", "csv"))
    assert [row["settled_at"] for row in rows] == sorted(row["settled_at"] for row in rows)
    first, last = rows[0]["settled_at"], rows[-1]["settled_at"]
    some = as_csv(
        written(books, "charges", "csv", since=datetime.fromisoformat(first),
                until=datetime.fromisoformat(last))
    )  # fmt: skip
    assert [row["charge_id"] for row in some] == [r["charge_id"] for r in rows[:-1]]
    created = as_csv(written(books, "charges", "csv", by="created_at"))
    assert len(created) == len(rows) + 1  # the one that is in transit


def test_json_lines_are_the_objects_of_http(books: Counter) -> None:
    lines = written(books, "refunds", "jsonl").splitlines()
    (refund,) = map(json.loads, lines)
    assert (refund["object"], refund["amount"], refund["currency"]) == ("refund", 500, "USD")
    (dispute,) = map(json.loads, written(books, "disputes", "jsonl", by="created_at").splitlines())
    assert dispute["object"] == "dispute"


def test_a_page_ends_nowhere_in_particular(books: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {what: written(books, what, "csv", by="created_at") for what in exports.WHATS}
    for size in (1, 2, 3):
        monkeypatch.setattr(exports, "PAGE", size)
        for what, text in whole.items():
            assert written(books, what, "csv", by="created_at") == text


def test_what_nobody_else_may_see_makes_no_page_the_last(
    books: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 1)
    other = Access("Shop.2", frozenset({CHARGES_READ}))
    (row,) = as_csv(written(books, "charges", "csv", access=other))
    assert row["amount"] == "1.234"


def test_a_journal_is_in_balance(books: Counter) -> None:
    for format_ in ("hledger", "beancount"):
        sums: Tally[tuple[str, str]] = Tally()
        for account, amount, currency in re.findall(
            r"^  (\S+)  (-?[0-9.]+) ([A-Z]{3})$", written(books, "ledger", format_), re.MULTILINE
        ):
            sums[currency, account.split(":")[1]] += Decimal(amount)  # type: ignore[assignment]
        assert sum(v for (c, _), v in sums.items() if c == "USD") == 0
        assert sums["USD", "Clearing"] == Decimal("27.40")
        assert sums["KWD", "Clearing"] == Decimal("1.234")
        assert sums["USD", "InTransit"] == Decimal("7.00")


def test_names_of_a_journal_are_told_apart(books: Counter) -> None:
    text = written(books, "ledger", "beancount")
    assert "Income:Sales:Shop  " in text
    assert re.search(r"Income:Sales:Shop-2-[0-9a-f]{6}  ", text)


def test_a_journal_of_refunds_is_of_refunds(books: Counter) -> None:
    text = written(books, "refunds", "hledger")
    assert len(re.findall(r"^2026-11-30 \* refund re_", text, re.MULTILINE)) == 2
    assert "charge" not in text


@pytest.mark.skipif(shutil.which("hledger") is None, reason="hledger is not installed")
def test_hledger_reads_it(books: Counter, tmp_path: Path) -> None:
    journal = tmp_path / "month.journal"
    journal.write_text(written(books, "ledger", "hledger"), encoding="utf-8")
    asked = ["hledger", "-f", str(journal), "balance", "--no-total", "-O", "csv", "-N"]
    run = subprocess.run(asked, capture_output=True, text=True, check=True)
    found = dict(list(csv.reader(io.StringIO(run.stdout)))[1:])
    assert found["Assets:Clearing:Sandbox"] == "500 JPY, 1.234 KWD, 27.40 USD"
    assert found["Assets:InTransit:Sandbox"] == "7.00 USD"


@pytest.mark.skipif(shutil.which("bean-check") is None, reason="beancount is not installed")
def test_beancount_reads_it(books: Counter, tmp_path: Path) -> None:
    ledger = tmp_path / "month.beancount"
    for what in exports.WHATS:
        ledger.write_text(written(books, what, "beancount"), encoding="utf-8")
        run = subprocess.run(
            ["bean-check", str(ledger)], capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stderr) == (0, "")


# --- At the doors ---


@pytest.fixture
def some(engine: Engine, billing: Billing) -> Billing:
    begin_in_this_hour(engine)  # both are of one day, and of one hour of the ledger
    with counter(engine) as till:
        paid = till.charge(amount=1999)
        till.refund(paid["id"], amount=500)
    return billing


def test_the_command_exports_and_reports(some: Billing) -> None:
    day = datetime.now(UTC).date()
    times = ("--from", f"{day - timedelta(days=1)}", "--to", f"{day + timedelta(days=2)}")
    (row,) = as_csv(some("export", "charges", *times).out)
    assert (row["amount"], row["refunded_amount"], row["state"]) == ("19.99", "5.00", "succeeded")
    assert len(as_csv(some("export", "ledger", *times).out)) == 3
    assert as_csv(some("export", "charges", *times, "--live").out) == []
    journal = some("export", "ledger", *times, "--format", "hledger").out
    assert journal.count("Assets:Clearing:Sandbox") == 2
    (shown,) = json.loads(some("report", "day", "--json").out)
    assert (shown["gross"], shown["refunds"], shown["net"]) == (1999, 500, 1499)
    (row,) = as_csv(some("report", "month", "--csv").out)
    assert (row["currency"], row["net"]) == ("USD", "14.99")
    assert "19.99 USD" in some("report", "day").out


def test_the_command_shows_the_ledger(some: Billing, engine: Engine) -> None:
    found = json.loads(some("ledger", "balance", "--test", "--json").out)
    assert {one["account"]: one["balance"] for one in found} == {
        "customer": -1499, "clearing": 1499, "refunds_payable": 0,
    }  # fmt: skip
    charge = json.loads(some("charge", "list", "--json").out)[0]["charge_id"]
    (posting,) = json.loads(some("ledger", "show", charge, "--json").out)
    assert (posting["debit"], posting["credit"], posting["amount"]) == (
        "clearing", "customer", 1999,
    )  # fmt: skip
    (seal,) = json.loads(some("ledger", "seals", "--json").out)
    assert seal["postings"] == 0
    assert json.loads(some("ledger", "fill", "--again", "--json").out) == {
        "looked at": 2, "posted": 0,
    }  # fmt: skip


@every(
    "arguments, said",
    [
        (
            ("export", "charges", "--from", "2026-11-01", "--to", "2026-11-01"),
            "from must be before to",
        ),
        (
            ("export", "charges", "--from", "2026-11-01", "--to", "2026-12-01", "--format", "xls"),
            "--format must be one of csv, jsonl, hledger, beancount",
        ),
        (
            ("export", "refunds", "--from", "2026-11-01", "--to", "2026-12-01", "--by", "hand"),
            "--by must be one of settled_at, created_at",
        ),
        (("export", "ledger", "--from", "yesterday", "--to", "2026-12-01"), "is not a moment"),
    ],
)
def test_what_can_not_be_exported_is_refused(
    billing: Billing, arguments: tuple[str, ...], said: str
) -> None:
    answer = billing(*arguments)
    assert answer.code in (1, 2)
    assert said in answer.err
