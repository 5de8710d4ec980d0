"""`billing report`: what was taken per day or month and currency."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli import database_access, options, output
from cli.finance.export import Producer, Test, access_of, livemode
from cli.options import moment

COLUMNS = (
    "period", "currency", "gross", "refunds", "disputes", "fees", "exchanged", "net", "payouts",
)  # fmt: skip
NARROW = ("period", "gross", "refunds", "disputes", "fees", "net")
From = Annotated[
    datetime | None,
    typer.Option("--from", parser=moment, metavar="MOMENT", help="From this day on (UTC)."),
]
To = Annotated[
    datetime | None,
    typer.Option(
        "--to", parser=moment, metavar="MOMENT", help="Up to this day, which is not included."
    ),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Answer as CSV, for a spreadsheet.")]


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Gross, refunds, disputes, fees, net and payouts."
    )
    group.command("day")(day)
    group.command("month")(month)
    root.add_typer(group, name="report")


def day(
    since: From = None,
    until: To = None,
    producer: Producer = None,
    test: Test = None,
    as_csv: AsCsv = False,
    as_json: options.Json = False,
) -> None:
    """Show the takings of each day, per currency; by default of yesterday and today."""
    today = _today()
    since = since or today - timedelta(days=1)
    _report("day", since, until, producer, test, as_csv=as_csv, as_json=as_json)


def month(
    since: From = None,
    until: To = None,
    producer: Producer = None,
    test: Test = None,
    as_csv: AsCsv = False,
    as_json: options.Json = False,
) -> None:
    """Show the takings of each month, per currency; by default of the last one and this one."""
    since = since or (_today().replace(day=1) - timedelta(days=1)).replace(day=1)
    _report("month", since, until, producer, test, as_csv=as_csv, as_json=as_json)


def _today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _report(
    period: str,
    since: datetime,
    until: datetime | None,
    producer: str | None,
    test: bool | None,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    from payments.amounts import as_decimal, in_words
    from payments.finance import spreadsheets
    from payments.finance.takings import takings

    until = until or _today() + timedelta(days=1)
    with database_access.reading(snapshot=True) as connection:
        found = takings(
            connection,
            period,  # type: ignore[arg-type]  # one of two
            since.astimezone(UTC),
            until.astimezone(UTC),
            livemode=livemode(test),
            access=access_of(producer),
        )
    views = [one.view() for one in found]
    if as_csv:
        rows = [
            {k: as_decimal(v, one["currency"]) if isinstance(v, int) else v for k, v in one.items()}
            for one in views
        ]
        sys.stdout.writelines(spreadsheets.lines(rows, COLUMNS))
        return
    if not as_json:
        views = [
            {k: in_words(v, one["currency"]) if isinstance(v, int) else v for k, v in one.items()}
            for one in views
        ]
    nothing = "nothing was taken; --test shows test money, --live real money"
    output.show_list(views, COLUMNS, as_json=as_json, nothing=nothing, narrow=NARROW)
