"""Reads a processor's records, page by page, into the table where they are compared."""

from collections.abc import Iterator
from itertools import islice

from payments.audit.reconcile import runs
from payments.audit.reconcile.runs import Run
from payments.processors.port import ListsPayouts, ListsRecords, Record
from payments.transaction import Database

# Per transaction: short work, and the most that is read again after a kill.
PAGE = 500


def read(database: Database, run: Run, processor: ListsRecords | ListsPayouts) -> Iterator[Run]:
    """Continue reading where the run is; yields the run after each page that is kept.

    No transaction is open while the processor is asked. Raises RecordsUnavailable, TakenOver; what
    was kept stays.
    """
    if run.is_read:
        return
    lines = _lines(run, processor)
    while page := list(islice(lines, PAGE)):
        with database.transaction() as transaction:
            run = runs.keep(transaction, run, page)
        yield run
    with database.transaction() as transaction:
        run = runs.all_read(transaction, run)
    yield run


def _lines(run: Run, processor: ListsRecords | ListsPayouts) -> Iterator[Record]:
    if run.payout_id is not None:
        assert isinstance(processor, ListsPayouts), "it was asked for a payout"
        return processor.records_of_payout(run.payout_id, after=run.position)
    assert isinstance(processor, ListsRecords), "it was asked for records"
    assert run.read_from is not None, "a period has a beginning"
    assert run.read_to is not None, "and an end"
    return processor.records(run.read_from, run.read_to, after=run.position)
