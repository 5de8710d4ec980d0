"""`billing currency`: those of ISO 4217."""

import typer

from cli import options, tables

COLUMNS = ("id", "code", "name", "decimal")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Currencies of charges and prices.")
    group.command("list")(list_)
    root.add_typer(group, name="currency")


def list_(as_json: options.Json = False) -> None:
    """List all currencies, by their codes."""
    from payments.catalog import currencies

    tables.show_many(currencies.every(), COLUMNS, as_json=as_json, nothing="no currencies")
