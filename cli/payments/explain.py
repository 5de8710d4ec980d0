"""`billing explain`: everything that happened to what one has in hand, in order."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from cli import database_access, options, output

if TYPE_CHECKING:
    from payments.timeline_entries import Entry


def register(root: typer.Typer) -> None:
    root.command()(explain)


def explain(
    id_or_key: str = typer.Argument(
        help="Whatever `billing find` finds: an id of any kind, an idempotency key, a lookup key,"
        " an order's reference, a customer, the processor's reference, the id of a request, an"
        " amount, or words of metadata."
    ),
    producer: str | None = typer.Option(None, help="Only what this producer asked for."),
    as_json: options.Json = False,
) -> None:
    """Tell everything that happened to a payment or a price.

    Requests, attempts, money, events, webhooks and refusals, in order.
    """
    from payments.history.identifiers import EACH_MAX, named
    from payments.history.timeline import timeline
    from payments.payment_errors import NotFound

    statements = database_access.statements()
    with database_access.reading(snapshot=True) as connection:
        try:
            entries = timeline(connection, id_or_key, producer=producer, statements=statements)
        except NotFound as missing:
            raise output.Failed(str(missing), code=missing.code) from None
        more = named(connection, id_or_key, producer=producer).more
    if as_json:
        output.print_json([entry.view() for entry in entries])
    else:
        _tell(entries)
    if more:
        sys.stderr.write(
            f"the newest {EACH_MAX} of each are told; `billing charge list --customer …` or"
            " `--reference …` lists all\n"
        )


def _tell(entries: "Sequence[Entry]") -> None:
    """A block per object, so that a key's charge and refund don't mingle."""
    for object_id in dict.fromkeys(entry.object_id for entry in entries):
        output.console().print(object_id, style="bold", markup=False)
        for entry in entries:
            if entry.object_id == object_id:
                at = entry.at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
                output.say(entry.text, head=f"  {at}  ")
