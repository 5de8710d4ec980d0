"""`billing reconcile`: whether a processor's books of a period agree with ours."""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import database_access, options, output
from cli.actor import acts, somebody
from cli.operating import reconcile_report as report

if TYPE_CHECKING:
    from payments.audit.reconcile.differences import Difference
    from payments.audit.reconcile.pair_judging import Tally
    from payments.audit.reconcile.runs import Run
    from payments.processors.port import Processor
    from payments.transaction import Database

DAY = timedelta(days=1)
# No money has moved before or after these; and one day more or less is still a valid date.
YEARS = range(2000, 2999)

From = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        parser=options.moment,
        metavar="MOMENT",
        help="The beginning of the period, in UTC unless it names a zone; a day before its end.",
    ),
]
To = Annotated[
    datetime | None,
    typer.Option(
        "--to",
        parser=options.moment,
        metavar="MOMENT",
        help="Its end, which is not in it; last midnight (UTC) unless told otherwise.",
    ),
]
WhichProcessor = Annotated[
    str | None,
    typer.Option(
        "--processor",
        help="The processor whose records are compared; by default the one that takes new charges.",
    ),
]
Payout = Annotated[
    str | None, typer.Option(metavar="ID", help="The records of this payout, not of a period.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the last one that broke off, from there.")
]
Apply = Annotated[
    bool, typer.Option("--apply", help="Repair what is surely safe, as the processor would.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Answer in CSV, amounts in minor units.")]


def register(root: typer.Typer) -> None:
    root.command()(acts(reconcile))


def reconcile(
    since: From = None,
    until: To = None,
    processor: WhichProcessor = None,
    payout: Payout = None,
    resume: Resume = False,
    apply: Apply = False,
    as_csv: Csv = False,
    as_json: options.Json = False,
) -> None:
    """Compare our books with the processor's, line by line.

    Yesterday's by default. Shows what only one side has, and where amount, currency, state or fee
    differ. No money moves, whatever is found. JSON is a line per difference, and one for the total.

    Exits with 1 if something differs and was not repaired.
    """
    _check(since, until, payout, resume=resume, as_csv=as_csv, as_json=as_json)
    from payments.audit.reconcile.pair_judging import Tally
    from payments.lifecycle.settlement import policies_of
    from payments.transaction import Database
    from service import settings, wiring
    from service.database.database_limits import BOOKS

    known = settings.load(broker_url="redis://unused")
    named = wiring.processors(known)
    if processor is not None and processor not in named:
        raise options.Misused(f"no processor is named {processor!r}; there is {', '.join(named)}")
    theirs = named[processor or named.default]
    policies = policies_of(named, customer_wait=timedelta(seconds=known.customer_wait_s))
    with database_access.opened(known, limits=BOOKS) as engine:
        # The sweep wakes what a repair made due, within a second.
        database, tally = Database(engine, acting=somebody()), Tally()
        run = (
            _resumed(database, theirs) if resume else _begun(database, theirs, since, until, payout)
        )
        run = _read(database, run, theirs)
        _require_payout(database, run, tally)
        found = _found(database, run, tally, theirs, policies[theirs.name] if apply else None)
        report.tell(found, as_csv=as_csv, as_json=as_json)
        _post_payouts(database, run, theirs)
        _finish(database, run, tally)
    report.sum_up(run, tally, as_csv=as_csv, as_json=as_json)
    if not tally.is_clean:
        sys.exit(1)


def _check(
    since: datetime | None,
    until: datetime | None,
    payout: str | None,
    *,
    resume: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Report the differences."""
    if as_csv and as_json:
        raise options.Misused("give one of --csv and --json")
    if payout is not None and (since or until):
        raise options.Misused("give a period or --payout: a payout has records of its own")
    if resume and (since or until or payout):
        raise options.Misused("give --resume without a period or a payout: it goes on with its own")


def _begun(
    database: "Database",
    theirs: "Processor",
    since: datetime | None,
    until: datetime | None,
    payout: str | None,
) -> "Run":
    from payments.audit.reconcile import runs
    from payments.processors.port import ListsPayouts, ListsRecords

    if payout is not None:
        if not isinstance(theirs, ListsPayouts):
            raise output.Failed(f"{theirs.name} does not tell what it pays out")
        with database.transaction() as transaction:
            return runs.of_payout(transaction, theirs.name, payout)
    if not isinstance(theirs, ListsRecords):
        said = f"{theirs.name} does not list what it moved; --processor names another one"
        raise output.Failed(said)
    if any(at is not None and at.year not in YEARS for at in (since, until)):
        raise options.Misused(f"--from and --to are years from {YEARS[0]} to {YEARS[-1]}")
    until = until or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = since or until - DAY
    if since >= until:
        raise options.Misused(f"--from must be before --to, which is {until:%Y-%m-%dT%H:%M:%SZ}")
    with database.transaction() as transaction:
        return runs.of_period(transaction, theirs.name, since=since, until=until)


def _resumed(database: "Database", theirs: "Processor") -> "Run":
    from payments.audit.reconcile import runs

    with database.transaction() as transaction:
        run = runs.unfinished(transaction, theirs.name)
    if run is None:
        raise output.Failed(
            f"no reconciliation with {theirs.name} broke off in the last"
            f" {runs.RESUMABLE.days} days; begin one without --resume"
        )
    return run


def _read(database: "Database", run: "Run", theirs: Any) -> "Run":
    """The run when all its records are here."""
    from payments.audit.reconcile.record_reader import read
    from payments.audit.reconcile.runs import TakenOver
    from payments.processors.port import RecordsUnavailable

    with output.progress("reading", None) as bar:
        try:
            for run in read(database, run, theirs):  # noqa: B020  # it moves on
                bar.update(bar.task_ids[0], completed=run.records)
        except RecordsUnavailable as error:
            raise output.Failed(
                f"{theirs.name} can't list its records now ({error}); {run.records} were read:"
                " go on with --resume",
                code="processor_unavailable",
            ) from None
        except TakenOver as error:
            raise output.Failed(str(error), code="taken_over") from None
    return run


def _require_payout(database: "Database", run: "Run", tally: "Tally") -> None:
    """A payout without any line is a typing error, and does not count as matching."""
    if run.payout_id is not None and run.records == 0:
        _finish(database, run, tally)
        raise output.Failed(
            f"{run.processor} has no payout {run.payout_id}", code="not_found", param="payout"
        )


def _found(
    database: "Database", run: "Run", tally: "Tally", theirs: "Processor", policy: Any
) -> "Iterator[Difference]":
    """What differs, as it is found; with a policy, after it was repaired."""
    from payments.audit.reconcile import pair_judging, repairs

    with output.progress("comparing", run.records) as bar:
        found: Iterator[Difference] = pair_judging.differences(
            database.engine,
            run,
            tally,
            livemode=theirs.livemode,
            advance=lambda n: bar.advance(bar.task_ids[0], n),
        )
        if policy is not None:
            found = repairs.repaired(
                database, found, processor=run.processor, policy=policy, dice=random.random
            )
        for one in found:
            tally.repaired += one.is_repaired
            yield one


def _post_payouts(database: "Database", run: "Run", theirs: "Processor") -> None:
    from payments.audit.reconcile import payouts

    with database.transaction() as transaction:
        payouts.post(transaction, run, livemode=theirs.livemode)


def _finish(database: "Database", run: "Run", tally: "Tally") -> None:
    from payments.audit.reconcile import runs

    with database.transaction() as transaction:
        runs.finish(transaction, run, tally.view())
