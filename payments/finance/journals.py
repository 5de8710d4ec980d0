"""Postings as plain text accounting: the journals of hledger and of beancount.

One chart of accounts for both, in the form that beancount, the stricter of the two, requires
(beancount.github.io, "Beancount Language Syntax"; hledger.org/hledger.html, "Journal").
"""

import re
from collections.abc import Mapping
from datetime import UTC
from hashlib import sha256
from typing import Any, Literal

from payments.amounts import as_decimal

Journal = Literal["hledger", "beancount"]

# To combine the files of two months, keep each `open` once.
HEADS: Mapping[str, str] = {
    "beancount": 'plugin "beancount.plugins.auto_accounts"\n\n',
    "hledger": "",
}

# By the account of the ledger; {processor} and {producer} as parts of a name.
_ACCOUNTS: Mapping[str, str] = {
    "customer": "Income:Sales:{producer}",
    "clearing": "Assets:Clearing:{processor}",
    "in_transit": "Assets:InTransit:{processor}",
    "fees": "Expenses:Fees:{processor}",
    "disputes": "Assets:Disputes:{processor}",
    "refunds_payable": "Liabilities:RefundsPayable:{processor}",
    "exchange": "Equity:Conversion:{processor}",
    "bank": "Assets:Bank:{processor}",
}
_WHAT = {"ch_": "charge", "re_": "refund", "dp_": "dispute", "po_": "payout"}
_NO_PART = re.compile("[^A-Za-z0-9-]")
# Ids are our own, except a payout's: its processor chose it.
_NO_ID = re.compile("[^A-Za-z0-9._:-]")


def transaction(row: Mapping[str, Any], journal: Journal) -> str:
    """A posting as a transaction of two lines, and the empty line behind it."""
    amount, currency = as_decimal(row["amount"], row["currency"]), row["currency"]
    what = f"{_WHAT.get(row['object_id'][:3], 'move')} {_NO_ID.sub('-', row['object_id'])}"
    day = row["effective_at"].astimezone(UTC).date().isoformat()
    if journal == "beancount":
        head = f'{day} * "{what}"\n  posting: "{row["id"]}"'
    else:
        head = f"{day} * {what}  ; posting:{row['id']}"
    sides = zip(("debit", "credit"), (amount, -amount), strict=True)
    lines = (f"  {_account(row[side], row)}  {part:f} {currency}\n" for side, part in sides)
    return f"{head}\n{''.join(lines)}\n"


def _account(name: str, row: Mapping[str, Any]) -> str:
    return _ACCOUNTS[name].format(
        producer=_part(row["producer"]), processor=_part(row["processor"])
    )


def _part(name: str) -> str:
    """A name as part of an account's: it begins with a capital or a digit, followed by letters,
    digits and dashes. If something had to be replaced, a digest keeps it distinct."""
    part = _NO_PART.sub("-", name)
    if part != name or name[0] in "-ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        part = f"{part}-{sha256(name.encode()).hexdigest()[:6]}".lstrip("-")
    return part[0].upper() + part[1:]
