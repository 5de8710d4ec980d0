"""The books of the sandbox as Stripe would have them: the journal of a stand-in that keeps them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from local.stripe_door.objects.balance import fee_of
from payments.processors.stripe.wire import CHARGE_ID, REFUND_ID

LINES = 500  # of the ledger to one of the journal
Object = dict[str, Any]


def hand_over(connection: Connection, journal: Path, *, wrong_fees: set[str]) -> None:
    """Write all that the sandbox moved as what Stripe has moved, and make Stripe the processor of
    all our charges and refunds; it has told us its fees, of some of them others than it has."""
    for statement in _STRIPES:
        used = {"wrong": sorted(wrong_fees)} if ":wrong" in statement else {}
        connection.execute(text(statement), used)
    rows = connection.execute(text("SELECT * FROM sandbox_ledger ORDER BY moved_at, id"))
    with journal.open("w") as lines:
        for rows_of_line in rows.mappings().partitions(LINES):
            objects = [one for row in rows_of_line for one in _objects(dict(row))]
            lines.write(json.dumps({"objects": objects, "tables": [], "moved": []}) + "\n")


def _objects(row: Object) -> Iterator[Object]:
    """A movement as the charge or the refund, and the line of the balance that tells of it."""
    created, currency = int(row["moved_at"].timestamp()), row["currency"].lower()
    is_refund = row["direction"] == "refund"
    fee = 0 if is_refund else fee_of(row["amount"])
    amount = -row["amount"] if is_refund else row["amount"]
    entry = f"txn_{row['id']}"
    source: Object = {
        "id": f"{'re' if is_refund else 'ch'}_{row['id']}",
        "amount": row["amount"],
        "balance_transaction": entry,
        "created": created,
        "currency": currency,
        "status": "succeeded",
    }
    if is_refund:
        # Our rows have Stripe's id of a refund, and that of a charge's PaymentIntent.
        source |= {"object": "refund", "id": row["reference"]}
        source["metadata"] = {REFUND_ID: row["object_id"], CHARGE_ID: row["charge_id"]}
    else:
        source |= {
            "object": "charge",
            "amount_captured": row["amount"],
            "captured": True,
            "metadata": {CHARGE_ID: row["object_id"]},
            "payment_intent": row["reference"],
        }
    yield source
    yield {
        "id": entry,
        "object": "balance_transaction",
        "amount": amount,
        "created": created,
        "currency": currency,
        "fee": fee,
        "net": amount - fee,
        "reporting_category": row["direction"],
        "source": source["id"],
        "status": "available",
        "type": row["direction"],
        "_payout": None,
    }


_STRIPES = (
    "UPDATE sandbox_ledger SET reference = 're_' || id WHERE direction = 'refund'",
    """UPDATE refunds r SET processor = 'stripe', processor_reference = 're_' || l.id
       FROM sandbox_ledger l WHERE l.object_id = r.id""",
    """UPDATE charges c SET processor = 'stripe', fee = told.fee, net = amount - told.fee,
           settlement_currency = currency
       FROM (SELECT id, (amount * 29 + 500) / 1000 + 30 + (id = ANY(:wrong))::int AS fee
             FROM charges) told
       WHERE told.id = c.id""",
)
