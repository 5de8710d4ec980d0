"""What strangers write into an export stays a text."""

from datetime import UTC, datetime

from payments.finance import journals, spreadsheets
from tests.support.every import every

ROW = {
    "id": 7,
    "effective_at": datetime(2026, 11, 30, tzinfo=UTC),
    "object_id": "ch_1",
    "producer": "shop",
    "processor": "sandbox",
    "currency": "USD",
    "amount": 1999,
    "debit": "clearing",
    "credit": "customer",
}


@every(
    ("written", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("＝1+1", "'＝1+1"),
        ("\t=1", "'\t'=1"),
        ("\rx", "'\rx"),
        # A new cell where semicolons, tabs or lines part them.
        ("x;=cmd|'/c calc'!A0;", "x;'=cmd|'/c calc'!A0;"),
        ("x\t@SUM(A1)", "x\t'@SUM(A1)"),
        ("x\n-1", "x\n'-1"),
        ("5 - 3; a=b + c@d", "5 - 3; a=b + c@d"),
    ],
)
def test_no_cell_of_a_spreadsheet_is_a_formula(written: str, shown: str) -> None:
    assert spreadsheets.cell(written) == shown


@every("journal", ["hledger", "beancount"])
def test_no_id_of_a_processor_ends_its_line(journal: journals.Journal) -> None:
    payout = {**ROW, "object_id": 'po_x:1"\n2026-01-01 * evil ; \n  Assets:Bank:X  1 USD'}
    usual = journals.transaction({**ROW, "object_id": "po_x:1"}, journal)
    hostile = journals.transaction(payout, journal)
    assert hostile.count("\n") == usual.count("\n")
    assert hostile.count(";") == usual.count(";")
    assert hostile.count('"') == usual.count('"')
