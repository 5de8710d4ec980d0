"""The runs of a reconciliation: where to continue, and the records read so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Interval, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_new

from models import ReconciledRecord, Reconciliation
from models.base import as_rows, given, table_of
from payments.audit.reconcile.terms import REACH_MAX, SKEW, Terms
from payments.parsing import refuse_card_data
from payments.payment_errors import BillingError
from payments.processors.port import Record
from payments.transaction import Transaction

# After this time an interrupted run is deleted, with what it had read.
RESUMABLE = timedelta(days=7)


class TakenOver(BillingError):
    """Another process continues this reconciliation."""


@dataclass(frozen=True, slots=True)
class Run:
    """A row of `reconciliations`."""

    id: int
    processor: str
    since: datetime | None
    until: datetime | None
    payout_id: str | None
    read_from: datetime | None
    read_to: datetime | None
    position: str | None
    records: int
    is_read: bool
    started_at: datetime

    @property
    def terms(self) -> Terms:
        """The terms on which its pairs are judged."""
        return Terms(
            self.processor, self.started_at, self.since, self.until, self.read_from, self.read_to
        )


def of_period(transaction: Transaction, processor: str, *, since: datetime, until: datetime) -> Run:
    """A new run over the records of a period, and of the time around it that its charges need."""
    period = {"processor": processor, "since": since, "until": until}
    seen = transaction.execute(_BEGAN, period).one()
    earliest = max(since - REACH_MAX, min(since, seen.began or since))
    bounds = {"read_from": earliest - SKEW, "read_to": min(until + SKEW, max(seen.now, since))}
    return _start(transaction, {**period, **bounds})


def of_payout(transaction: Transaction, processor: str, payout_id: str) -> Run:
    """A new run over the records of one payout. Raises InvalidRequest."""
    refuse_card_data("payout", payout_id)
    return _start(transaction, {"processor": processor, "payout_id": payout_id})


def unfinished(transaction: Transaction, processor: str) -> Run | None:
    """The last interrupted run over this processor's records."""
    found = transaction.execute(_UNFINISHED, {"processor": processor}).first()
    return _run(found) if found else None


def keep(transaction: Transaction, run: Run, lines: Sequence[Record]) -> Run:
    """Store a page of records, and where to continue. Raises TakenOver."""
    kept = [{**_columns(line), "reconciliation_id": run.id} for line in lines]
    transaction.execute(_KEEP, {"lines": as_rows(kept)})
    return _move_on(transaction, run, position=lines[-1].id, records=run.records + len(lines))


def all_read(transaction: Transaction, run: Run) -> Run:
    """All records are read; now match those without one of our ids by their reference."""
    for statement in _BY_REFERENCE:
        transaction.execute(statement, {"run": run.id, "processor": run.processor})
    return _move_on(transaction, run, is_read=True)


def finish(transaction: Transaction, run: Run, found: Mapping[str, Any]) -> None:
    """Store the result, and delete the records."""
    if transaction.execute(_FINISH, {"run": run.id, "found": dict(found)}).rowcount != 1:
        raise TakenOver
    transaction.execute(_FORGET_RECORDS, {"runs": [run.id]})


def _start(transaction: Transaction, fields: Mapping[str, Any]) -> Run:
    stale = transaction.execute(_FORGET, {"resumable": RESUMABLE}).scalars().all()
    if stale:
        transaction.execute(_FORGET_RECORDS, {"runs": list(stale)})
    return _run(transaction.execute(_START, dict(fields)).one())


def _move_on(transaction: Transaction, run: Run, **changes: Any) -> Run:
    """The run after these changes, if no other process has changed it."""
    statement = _MOVE_ON.values(moved_on_at=func.now(), **changes)
    moved = transaction.execute(statement, {"run": run.id, "was": run.records}).first()
    if moved is None:
        raise TakenOver
    return _run(moved)


def _run(row: Any) -> Run:
    return Run(*row)


def _columns(line: Record) -> dict[str, Any]:
    return {field.name: getattr(line, field.name) for field in fields(line)}


# --- The statements, built once ---

_runs, _records = table_of(Reconciliation), table_of(ReconciledRecord)
_OF_RUN = [_runs.c[field.name] for field in fields(Run)]

# No index has these moments: it costs as much as `billing verify`.
_BEGAN = text("""
    SELECT least(
        (SELECT min(coalesce(authorized_at, first_called_at)) FROM charges
         WHERE processor = :processor
         AND state = 'succeeded' AND settled_at >= :since AND settled_at < :until),
        (SELECT min(first_called_at) FROM refunds WHERE processor = :processor
         AND state = 'succeeded' AND settled_at >= :since AND settled_at < :until)
    ) AS began, now() AS now
""")
_START = insert(_runs).returning(*_OF_RUN)
_UNFINISHED = (
    select(*_OF_RUN)
    .where(_runs.c.processor == bindparam("processor"), _runs.c.finished_at.is_(None))
    .order_by(_runs.c.id.desc())
    .limit(1)
)
_is_unfinished = _runs.c.finished_at.is_(None)
_MOVE_ON = (
    update(_runs)
    .where(
        _runs.c.id == bindparam("run"),
        _is_unfinished,
        _runs.c.is_read.is_(False),
        _runs.c.records == bindparam("was"),
    )
    .returning(*_OF_RUN)
)
_FINISH = (
    update(_runs)
    .where(_runs.c.id == bindparam("run"), _is_unfinished)
    .values(finished_at=func.now(), moved_on_at=func.now(), found=bindparam("found"))
)
_FORGET = (
    delete(_runs)
    .where(
        _is_unfinished, _runs.c.moved_on_at < func.now() - bindparam("resumable", type_=Interval)
    )
    .returning(_runs.c.id)
)
_FORGET_RECORDS = text("DELETE FROM reconciled_records WHERE reconciliation_id = ANY(:runs)")

_lines = given("lines", list(_records.c))
_KEEP = (
    insert_new(_records)
    .from_select(
        [column.name for column in _records.c], select(*(_lines.c[c.name] for c in _records.c))
    )
    .on_conflict_do_nothing()  # a page that overlaps the previous one
)
_BY_REFERENCE = [
    text(f"""
    UPDATE reconciled_records r SET object_id = o.id FROM {table} o
    WHERE r.reconciliation_id = :run AND r.kind IN ({kinds})
      AND o.processor = :processor AND o.processor_reference = r.reference
      AND (r.object_id IS NULL OR NOT EXISTS (SELECT FROM {table} n WHERE n.id = r.object_id))
    """)  # noqa: S608  # our own names only
    for table, kinds in (("charges", "'charge'"), ("refunds", "'refund', 'reversal'"))
]
