"""`billing dispute`: get and list disputes. They are answered at the processor."""

import typer

from cli import database_access, options, tables

COLUMNS = ("dispute_id", "state", "amount", "charge_id", "respond_by")
NARROW = ("dispute_id", "state", "amount", "respond_by")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Charges that banks contest.")
    group.command("get")(get)
    group.command("list")(list_)
    root.add_typer(group, name="dispute")


def get(dispute_id: str, as_json: options.Json = False) -> None:
    """Show a dispute."""
    from payments.disputes import lookup
    from payments.views import dispute_view

    with database_access.reading() as connection:
        row = lookup.get(connection, dispute_id)
    tables.show(dispute_view(row), as_json=as_json)


def list_(
    state: str | None = typer.Option(None, help="needs_response, under_review, won, lost, …"),
    charge: str | None = typer.Option(None, help="Those of this charge."),
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List disputes, newest first."""
    from payments.disputes import lookup
    from payments.views import dispute_view

    with database_access.reading() as connection:
        found = lookup.every(connection, filters={"state": state, "charge_id": charge})
        tables.show_many(
            map(dispute_view, found), COLUMNS, narrow=NARROW, limit=limit, as_json=as_json,
            nothing="no disputes",
        )  # fmt: skip
