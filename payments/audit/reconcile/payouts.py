"""Payouts: whether each is the sum of its lines, and posting them in the ledger."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, text

from models.bookkeeping import Account
from payments.access.scopes import EVERYBODY
from payments.amounts import in_words
from payments.audit.reconcile.differences import Code, Difference
from payments.audit.reconcile.runs import Run
from payments.ledger.chart import Book, Standing
from payments.ledger.postings import write
from payments.transaction import Transaction


def differences(connection: Connection, run: Run) -> Iterator[Difference]:
    """Payouts that don't add up: a payout's own line must cancel the sum of the others."""
    for row in connection.execute(_SUMS, {"run": run.id}):
        if row.brought != row.paid:
            paid = in_words(row.paid, row.currency)
            yield Difference(
                Code.PAYOUT_DIFFERS,
                "payout",
                None,
                run.payout_id,
                f"{paid} went to the bank, its lines come to {in_words(row.brought, row.currency)}",
                None,
                (),
            )


def post(transaction: Transaction, run: Run, *, livemode: bool) -> int:
    """Post the payouts among the run's records, each once however often it is read; returns how
    many are new. They have no producer: a processor pays out for all of them together.

    A payout that the bank sends back has two records, days apart, both under its id: one each way.
    """
    transaction.execute(_ALONE)
    moved: list[tuple[str, datetime, Standing]] = []
    given = {"run": run.id, "processor": run.processor, "bank": Account.BANK.value}
    for row in transaction.execute(_NEW, given):
        book = Book(EVERYBODY, run.processor, row.currency, livemode)
        standing: Standing = {
            (book, "money", Account.BANK): row.paid,
            (book, "money", Account.CLEARING): -row.paid,
        }
        moved.append((row.object_id, row.moved_at, standing))
    return write(transaction, moved)


# Two processes that read the same payout at once would both find that it is new.
_ALONE = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(
        'payouts', CAST(CAST('ledger_postings' AS regclass) AS oid)::bigint
    ))
""")
_NEW = text("""
    SELECT * FROM (
        SELECT 'po_' || CAST(:processor AS text) || ':' || reference AS object_id,
               coalesce(settlement_currency, currency) AS currency, -coalesce(net, -amount) AS paid,
               moved_at
        FROM reconciled_records
        WHERE reconciliation_id = :run AND kind = 'payout' AND state = 'succeeded'
    ) r
    WHERE paid <> 0 AND NOT EXISTS (
        SELECT FROM ledger_postings p
        WHERE p.object_id = r.object_id AND (p.debit = :bank) = (r.paid > 0)
    )
    ORDER BY moved_at, object_id
""")
_SUMS = text("""
    SELECT coalesce(settlement_currency, currency) AS currency,
           coalesce(sum(net) FILTER (WHERE kind <> 'payout'), 0)::bigint AS brought,
           coalesce(-sum(net) FILTER (WHERE kind = 'payout'), 0)::bigint AS paid
    FROM reconciled_records WHERE reconciliation_id = :run AND net IS NOT NULL
    GROUP BY 1 ORDER BY 1
""")
