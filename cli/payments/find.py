"""`billing find`: whatever one has in hand, and what it names."""

import typer

from cli import database_access, options, output, tables

COLUMNS = ("type", "id", "state", "amount", "name", "found_by", "producer", "created_at")
NARROW = ("id", "state", "amount", "created_at")


def register(root: typer.Typer) -> None:
    root.command()(find)


def find(
    wanted: str = typer.Argument(
        metavar="WANTED",
        help="An id of any kind, an idempotency key, a reference, a customer, the processor's"
        " reference, the id of a request; an amount ('19.99 EUR', 1999); metadata (name:value, or"
        " words of values).",
    ),
    producer: str | None = typer.Option(
        None, help="Only what is this producer's; of all producers without it."
    ),
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """Find whatever a text names, newest first.

    `billing explain` tells the rest of it.
    """
    from payments.access.scopes import OPERATOR, READ, Access
    from payments.history import search
    from payments.history.identifiers import ONE_OF_MANY

    access = OPERATOR if producer is None else Access(producer, frozenset({READ}))
    with database_access.reading() as connection:
        found = map(search.view, search.every(connection, wanted, access=access))
        tables.show_many(
            found, COLUMNS, narrow=NARROW, limit=limit, as_json=as_json, nothing="nothing is found"
        )
        if search.search(connection, wanted, access=access, limit=1).is_part:
            output.note(ONE_OF_MANY.removeprefix("; "))
