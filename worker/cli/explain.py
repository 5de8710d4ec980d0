"""`billing explain`: everything that happened to a charge or a refund, in order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from worker.cli import books, options, output

if TYPE_CHECKING:
    from payments.entries import Entry


def register(root: typer.Typer) -> None:
    root.command()(explain)


def explain(
    id_or_key: str = typer.Argument(
        help="ch_…, re_…, prod_…, price_…, evt_…, rej_…, an idempotency key, or a lookup key."
    ),
    producer: options.Producer = "default",
    as_json: options.Json = False,
) -> None:
    """Tell the whole story: request, attempts, money, events, webhooks, refusals."""
    from payments.errors import NotFound
    from payments.timeline import timeline

    statements = books.statements()
    with books.reading(snapshot=True) as connection:
        try:
            story = timeline(connection, id_or_key, producer=producer, statements=statements)
        except NotFound as missing:
            raise output.Failed(
                f"{missing}; name another one with --producer",
                code=missing.code,
                param=missing.param,
            ) from None
    if as_json:
        output.print_json([entry.view() for entry in story])
    else:
        _tell(story)


def _tell(story: "Sequence[Entry]") -> None:
    """A block per object, so that a key's charge and refund don't mingle."""
    for object_id in dict.fromkeys(entry.object_id for entry in story):
        output.console().print(object_id, style="bold", markup=False)
        for entry in story:
            if entry.object_id == object_id:
                at = entry.at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
                output.say(entry.text, head=f"  {at}  ")
