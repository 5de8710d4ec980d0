"""`billing charge import` and `billing refund import`: a file of requests, checked and sent."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import database_access, options, output
from cli.actor import acts
from cli.importing import by_price

if TYPE_CHECKING:
    from cli.importing.refused import RefusedLines
    from cli.importing.source import Source
    from cli.importing.tally import Tally
    from infra.billing.contract.ids import Kind
    from payments.processors.registry import Processors

# A file of millions must not fill the broker's memory: this many messages keep workers busy for
# seconds, and the sweep wakes the rest.
WAITING_MAX = 10_000

File = Annotated[
    Path,
    typer.Argument(
        help="A .csv with a header, or a .jsonl with an object per line; the columns or names are"
        " the fields of a request. A charge has amount and currency, or price_id and quantity."
        " Amounts are in minor units, metadata is metadata.NAME."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check every line, and send nothing.")]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Send the others when some lines are invalid.")
]
RefusedPath = Annotated[
    Path | None,
    typer.Option("--refused", metavar="FILE", help="Where refused lines go, with the reasons."),
]


def import_command(kind: "Kind", what: str) -> Callable[..., None]:
    """The command that imports requests of this kind; `what` says what it does."""

    def import_(
        file: File,
        dry_run: DryRun = False,
        skip_invalid: SkipInvalid = False,
        refused: RefusedPath = None,
        producer: options.Producer = "default",
        as_json: options.Json = False,
    ) -> None:
        run(
            kind,
            file,
            producer=producer,
            dry_run=dry_run,
            skip_invalid=skip_invalid,
            refused_path=refused,
            as_json=as_json,
        )

    import_.__doc__ = f"""{what}

    Nothing is sent unless every line is valid, or --skip-invalid says so. What breaks off can be
    started again: a line's key is its idempotency_key, or made of the file's name and the line's
    number.
    """
    return acts(import_)


def run(
    kind: "Kind",
    file: Path,
    *,
    producer: str,
    dry_run: bool,
    skip_invalid: bool,
    refused_path: Path | None,
    as_json: bool,
) -> None:
    """Check a file, send it, and show the result. Raises Failed if lines were refused."""
    from cli.importing.lines import FileRefused
    from cli.importing.refused import RefusedLines
    from cli.importing.source import Source
    from service.settings import read
    from service.wiring import processors

    try:
        with (
            Source(file, kind, producer=producer) as source,
            RefusedLines(source, refused_path) as refused,
        ):
            if dry_run:
                # What the processor takes is known without asking it, or any database.
                named = processors(read(database_url="postgresql://unused/unused"))
                tally = _check(source, refused, judge=_judge(named))
                is_sent = False
            else:
                tally, is_sent = _import(source, refused, skip_invalid=skip_invalid)
            kept = refused.keep()
    except FileRefused as error:
        raise output.Failed(f"{file}: {error}", code="file_refused") from None
    except OSError as error:
        raise output.Failed(f"{file}: {error.strerror}", code="file_refused") from None
    _tell(file, tally, kept, is_sent=is_sent, as_json=as_json)
    if tally.refused:
        done = "" if is_sent else "; nothing was sent"
        raise output.Failed(f"{_lines(tally.refused)} refused{done}", code="lines_refused")


def _import(
    source: "Source", refused: "RefusedLines", *, skip_invalid: bool
) -> tuple["Tally", bool]:
    from sqlalchemy.exc import DBAPIError

    from cli.importing.sending import send
    from cli.importing.tally import Tally
    from payments.catalog.price_resolver import not_for_sale
    from payments.kinds import KINDS
    from payments.lifecycle.payment_queries import fingerprints
    from service.settings import load
    from service.wiring import processors

    named, kind = processors(load()), KINDS[source.kind]
    with database_access.database(waiting_max=WAITING_MAX) as database:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as reading:
            checked = _check(
                source,
                refused,
                known=lambda ids: fingerprints(reading, kind, ids),
                not_for_sale=partial(not_for_sale, reading),
                judge=_judge(named),
            )
        if checked.refused and not skip_invalid:
            return checked, False
        refused.begin_again()
        source.require_unchanged()
        sent = Tally()
        with output.progress("sending", checked.lines) as bar:
            try:
                send(
                    source,
                    refused,
                    sent,
                    database=database,
                    processors=named,
                    advance=lambda n: bar.advance(bar.task_ids[0], n),
                )
            except (DBAPIError, KeyboardInterrupt) as error:
                raise _broken_off(sent, error) from None
        source.require_unchanged()
    return sent, True


def _judge(named: "Processors") -> Callable[..., None]:
    """What speaks against a new line: today's rules, or what its processor takes."""
    from infra.billing.contract.requests.charge_request import ChargeRequest
    from payments.intake.judging import judge

    limits = named.limits

    def against(request: Any, *, amount: int | None, currency: str | None) -> None:
        is_charge = isinstance(request, ChargeRequest)
        name = named.of_charge(request, currency) if is_charge else named.default
        judge(request, processor=name, limits=limits[name], amount=amount, currency=currency)

    return against


def _check(source: "Source", refused: "RefusedLines", **database: Any) -> "Tally":
    from cli.importing.line_checks import check

    with output.progress("checking", None) as bar:
        return check(source, refused, **database, advance=lambda n: bar.advance(bar.task_ids[0], n))


def _broken_off(sent: "Tally", error: BaseException) -> output.Failed:
    known = output.in_words(error) if isinstance(error, Exception) else None
    return output.Failed(
        f"{known or 'interrupted'}: the import broke off when {_lines(sent.lines)} were sent;"
        " start it again, and nothing happens twice",
        code=known.code if known else "interrupted",
    )


def _tell(file: Path, tally: "Tally", kept: Path | None, *, is_sent: bool, as_json: bool) -> None:
    counts = ("new", "repeated") if is_sent else ("valid",)
    if as_json:
        output.print_json(
            {
                "file": str(file),
                "sent": is_sent,
                "lines": tally.lines,
                **{name: getattr(tally, name) for name in counts},
                "refused": tally.refused,
                "amounts": tally.sums,
                **by_price.for_programs(tally),
                "refused_lines": kept and str(kept),
                "reasons": [
                    {"line": number, "param": refusal.param, "because": refusal.because}
                    for number, refusal in tally.shown
                ],
            }
        )
        return
    for number, refusal in tally.shown:
        sys.stderr.write(f"line {number}: {refusal.because}\n")
    if tally.refused > len(tally.shown):
        sys.stderr.write(f"… and {_lines(tally.refused - len(tally.shown))} more, in {kept}\n")
    if is_sent and tally.repeated and not tally.new:
        sys.stderr.write(
            "nothing is new: all of it was imported before, under these keys; is it another file?"
            " Keys that are not in it are made of its name, so give it another one\n"
        )
    summary: dict[str, Any] = {"lines": tally.lines}
    for name in counts:
        summary |= {name: _with_amounts(tally, name)} | by_price.for_people(tally, name)
    summary |= {"refused": tally.refused} | ({"refused lines": str(kept)} if kept else {})
    output.show(summary, as_json=False)


def _with_amounts(tally: "Tally", name: str) -> str:
    from payments import amounts

    sums = [
        amounts.in_words(of[name], currency)
        for currency, of in sorted(tally.sums.items())
        if name in of
    ]
    return ", ".join([str(getattr(tally, name)), *sums])


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"
