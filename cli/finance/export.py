"""`billing export`: charges, refunds, disputes and the ledger of a time, as a file."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import database_access
from cli.options import Misused, moment

if TYPE_CHECKING:
    from payments.access.scopes import Access

From = Annotated[
    datetime,
    typer.Option(
        "--from", parser=moment, metavar="MOMENT", help="From this moment on: 2026-11-01. In UTC."
    ),
]
To = Annotated[
    datetime,
    typer.Option(
        "--to", parser=moment, metavar="MOMENT", help="Up to this moment, which is not included."
    ),
]
Test = Annotated[
    bool | None,
    typer.Option(
        "--test/--live",
        help="Test money, or real money: never both. By default what BILLING_PROCESSOR moves.",
    ),
]
Producer = Annotated[str | None, typer.Option(help="Only those of this producer.")]


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Charges, refunds, disputes and the ledger, as files."
    )
    for what in ("charges", "refunds", "disputes", "ledger"):
        group.command(what, help=_HELP[what])(_command(what))
    root.add_typer(group, name="export")


_HELP = {
    "charges": "Write the charges that ended in a time, as CSV, JSON lines or a journal.",
    "refunds": "Write the refunds that ended in a time, as CSV, JSON lines or a journal.",
    "disputes": "Write the disputes that were closed in a time, as CSV, JSON lines or a journal.",
    "ledger": "Write what was posted in a time, as CSV, JSON lines or a journal.",
}


def _command(what: str) -> Callable[..., None]:
    def export(
        since: From,
        until: To,
        by: str = typer.Option("settled_at", help="Which moment counts: settled_at, created_at."),
        format_: str = typer.Option(
            "csv", "--format", help="csv, jsonl, hledger or beancount (both: of postings)."
        ),
        producer: Producer = None,
        test: Test = None,
    ) -> None:
        from payments.finance import exports, formats

        if by not in exports.BYS:
            raise Misused(f"--by must be one of {', '.join(exports.BYS)}")
        if format_ not in exports.FORMATS:
            raise Misused(f"--format must be one of {', '.join(exports.FORMATS)}")
        wanted = exports.in_format(
            exports.Export(
                what,  # type: ignore[arg-type]  # one of those above
                since,
                until,
                livemode=livemode(test),
                by=by,  # type: ignore[arg-type]  # looked at above
                access=access_of(producer),
            ),
            format_,  # type: ignore[arg-type]  # likewise
        )
        with database_access.reading() as connection:
            sys.stdout.write(formats.begin(wanted, format_))  # type: ignore[arg-type]
            rows = exports.every(connection, wanted)
            sys.stdout.writelines(formats.lines(wanted, format_, rows))  # type: ignore[arg-type]

    return export


def livemode(test: bool | None) -> bool:
    """Whether real money is asked for; by default that which new charges move."""
    if test is not None:
        return not test
    from service import settings, wiring

    return wiring.livemode(settings.load(broker_url="redis://unused"))


def access_of(producer: str | None) -> "Access":
    """What is seen: everything, or what belongs to a producer."""
    from payments.access.scopes import CHARGES_READ, OPERATOR, Access

    return OPERATOR if producer is None else Access(producer, frozenset({CHARGES_READ}))
