"""Pairs our rows with the records that were read: one pair per charge or refund."""

from collections.abc import Iterator
from dataclasses import fields
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, text

from payments.audit.reconcile.differences import Ours
from payments.audit.reconcile.matching import Pair
from payments.audit.reconcile.runs import Run
from payments.processors.port import Record

# Rows fetched from the database at a time.
ROWS = 1_000


def pairs(connection: Connection, run: Run, *, livemode: bool) -> Iterator[Pair]:
    """All objects that the records of a run are about, and our objects that they should be about
    (live or not, like the processor), one after the other. `connection` sees one snapshot."""
    for (kind, _), rows in groupby(_rows(connection, _WITH_RECORDS, run, livemode), key=_name):
        together = list(rows)
        yield Pair(kind, _ours(together[0]), tuple(map(_record, together)))
    if run.since is not None:
        for row in _rows(connection, _WITHOUT_RECORDS, run, livemode):
            yield Pair(row.our_kind, _ours(row), ())


def others(connection: Connection, run: Run) -> dict[str, int]:
    """How many lines are about neither a charge nor a refund, by kind."""
    found = connection.execute(_OTHERS, {"run": run.id})
    return {row.kind: row.lines for row in found}


def _rows(connection: Connection, statement: Any, run: Run, livemode: bool) -> Iterator[Any]:
    asked = {
        "run": run.id,
        "processor": run.processor,
        "since": run.since,
        "until": run.until,
        "livemode": livemode,
    }
    used = {name: asked[name] for name in statement.compile().params}
    yield from connection.execute(statement, used, execution_options={"yield_per": ROWS})


def _name(row: Any) -> tuple[Any, str]:
    return row.side, row.name


def _record(row: Any) -> Record:
    return Record(**{name: getattr(row, name) for name in _OF_RECORD})


def _ours(row: Any) -> Ours | None:
    if row.our_id is None:
        return None
    return Ours(**{name: getattr(row, f"our_{name}") for name in _OF_OURS})


# --- The statements, composed of our own names only ---

_OF_RECORD = [field.name for field in fields(Record)]
_OF_OURS = [field.name for field in fields(Ours)]
_OURS = ", ".join(f"o.{name} AS our_{name}" for name in _OF_OURS)


def _objects(
    kind: str,
    table: str,
    *,
    taken: str = "NULL",
    by_hand: str = "false",
    began: str = "first_called_at",
    has_fees: bool = False,
) -> str:
    """The columns of `Ours`; `taken` is how much was captured by hand, and `began` is when the
    first of it may have moved."""
    fees = ("fee", "bigint"), ("net", "bigint"), ("settlement_currency", "text")
    fee_columns = ", ".join(f"{n if has_fees else 'NULL'}::{t} AS {n}" for n, t in fees)
    return f"""
    SELECT '{kind}' AS kind, id, processor, processor_reference AS reference, state, phase,
           lease_token IS NOT NULL AS is_leased, amount,
           coalesce({taken}, CASE state WHEN 'succeeded' THEN amount ELSE 0 END) AS moved,
           {by_hand} AS by_hand,
           currency, {began} AS began_at, settled_at, created_at, livemode, {fee_columns}
    FROM {table}
    """  # noqa: S608


# The `first_called_at` of a charge that is captured by hand is that of the last capture.
_CHARGES = _objects(
    "charge",
    "charges",
    taken="amount_captured",
    by_hand="capture = 'manual'",
    began="coalesce(authorized_at, first_called_at)",
    has_fees=True,
)
_EVERY = f"{_CHARGES} UNION ALL {_objects('refund', 'refunds')}"
_WITH_RECORDS = text(f"""
    SELECT r.*, {_OURS} FROM (
        SELECT {", ".join(_OF_RECORD)}, coalesce(object_id, reference) AS name,
               CASE kind WHEN 'charge' THEN 'charge' ELSE 'refund' END AS side
        FROM reconciled_records
        WHERE reconciliation_id = :run AND kind IN ('charge', 'refund', 'reversal')
    ) r LEFT JOIN ({_EVERY}) o ON o.id = r.object_id AND o.kind = r.side
    ORDER BY r.side, r.name, r.moved_at, r.id
""")  # noqa: S608
_WITHOUT_RECORDS = text(f"""
    SELECT {_OURS} FROM ({_EVERY}) o
    WHERE o.processor = :processor AND o.livemode = :livemode AND (
        o.state = 'succeeded' AND o.settled_at >= :since AND o.settled_at < :until
        OR o.state = 'pending' AND o.created_at >= :since AND o.created_at < :until
    ) AND NOT EXISTS (
        SELECT FROM reconciled_records r
        WHERE r.reconciliation_id = :run AND r.object_id = o.id
          AND r.kind IN ('charge', 'refund', 'reversal')
    )
""")  # noqa: S608
_OTHERS = text("""
    SELECT kind, count(*) AS lines FROM reconciled_records
    WHERE reconciliation_id = :run AND kind NOT IN ('charge', 'refund', 'reversal')
    GROUP BY kind ORDER BY kind
""")
