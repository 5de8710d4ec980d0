"""Whether a payout is the sum of its lines."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from payments.amounts import in_words
from payments.audit.reconcile.differences import Code, Difference
from payments.audit.reconcile.runs import Run


def differences(connection: Connection, run: Run) -> Iterator[Difference]:
    """What does not add up: a payout's own line takes away what all others brought."""
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


_SUMS = text("""
    SELECT coalesce(settlement_currency, currency) AS currency,
           coalesce(sum(net) FILTER (WHERE kind <> 'payout'), 0)::bigint AS brought,
           coalesce(-sum(net) FILTER (WHERE kind = 'payout'), 0)::bigint AS paid
    FROM reconciled_records WHERE reconciliation_id = :run AND net IS NOT NULL
    GROUP BY 1 ORDER BY 1
""")
