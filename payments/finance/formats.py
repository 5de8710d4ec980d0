"""Rows as files: CSV for spreadsheets, JSON lines for programs, and journals for plain text
accounting (`payments.finance.journals`)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from models.base import json_text
from payments.amounts import as_decimal
from payments.finance import journals, spreadsheets
from payments.finance.exports import Export, Format, Row
from payments.views import moment

MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "hledger": "text/plain; charset=utf-8",
    "beancount": "text/plain; charset=utf-8",
}
EXTENSIONS: Mapping[Format, str] = {
    "csv": "csv", "jsonl": "jsonl", "hledger": "journal", "beancount": "beancount",
}  # fmt: skip

_WHOSE = ("producer", "livemode", "processor", "processor_reference")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "charges": (
        "charge_id", "created_at", "settled_at", "state", "currency", "amount", "amount_captured",
        "refunded_amount", "disputed_amount", "settlement_currency", "fee", "net", "failure_code",
        "reference", "customer_id", "description", *_WHOSE,
    ),
    "refunds": (
        "refund_id", "charge_id", "created_at", "settled_at", "state", "currency", "amount",
        "failure_code", "reason", *_WHOSE,
    ),
    "disputes": (
        "dispute_id", "charge_id", "created_at", "closed_at", "state", "currency", "amount",
        "reason", *_WHOSE,
    ),
    "ledger": (
        "effective_at", "id", "object_id", "debit", "credit", "currency", "amount", "producer",
        "livemode", "processor", "at",
    ),
}  # fmt: skip
# The currency of these amounts; all others are in `currency`.
_IN = {"fee": "settlement_currency", "net": "settlement_currency"}
_AMOUNTS = frozenset(
    {"amount", "amount_captured", "refunded_amount", "disputed_amount", "fee", "net"}
)


def begin(wanted: Export, format_: Format) -> str:
    """The text before all rows."""
    if format_ == "csv":
        return spreadsheets.line(COLUMNS[wanted.what])
    return journals.HEADS.get(format_, "")


def lines(wanted: Export, format_: Format, rows: Iterable[Row]) -> Iterator[str]:
    """Each row as text, with its end."""
    match format_:
        case "csv":
            columns = COLUMNS[wanted.what]
            for row in rows:
                yield spreadsheets.line([spreadsheets.cell(_cell(row, name)) for name in columns])
        case "jsonl":
            for row in rows:
                yield json_text(row) + "\n"
        case "hledger" | "beancount":
            for row in rows:
                yield journals.transaction(row, format_)


def _cell(row: Mapping[str, Any], name: str) -> Any:
    value = row.get(name)
    if name in _AMOUNTS and value is not None:
        return as_decimal(value, row.get(_IN.get(name, "currency")))
    return moment(value) if isinstance(value, datetime) else value
