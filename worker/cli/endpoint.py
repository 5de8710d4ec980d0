"""`billing endpoint`: who is told by webhook."""

from collections.abc import Iterator
from typing import Any

import typer

from worker.cli import books, options, tables

COLUMNS = ("id", "state", "url", "event_types", "description", "created_at")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Receivers of webhooks.")
    group.command("add")(add)
    group.command("list")(list_)
    group.command("enable")(enable)
    group.command("disable")(disable)
    root.add_typer(group, name="endpoint")


def add(
    url: str,
    event: list[str] = typer.Option(
        [], metavar="TYPE", help="Only these, such as charge.succeeded. May be repeated."
    ),
    description: str | None = typer.Option(None),
    as_json: options.Json = False,
) -> None:
    """Send webhooks to a URL. Its secret is shown now, and never again."""
    from payments.webhooks import endpoints
    from payments.webhooks.target import TargetCheck
    from worker.settings import load

    check = TargetCheck(load().webhook_allow_private)
    with books.writing() as transaction:
        row = endpoints.add(
            transaction, url=url, target_check=check, event_types=event, description=description
        )
    tables.show({**endpoints.view(row), "secret": row["secrets"][0]}, as_json=as_json)


def list_(as_json: options.Json = False) -> None:
    """List all endpoints, without their secrets."""
    tables.show_many(_every(), COLUMNS, as_json=as_json, nothing="no endpoints")


def enable(endpoint_id: str, as_json: options.Json = False) -> None:
    """Send to an endpoint again, beginning with what waited."""
    from payments.webhooks import endpoints

    with books.writing() as transaction:
        row = endpoints.enable(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def disable(endpoint_id: str, as_json: options.Json = False) -> None:
    """Send nothing to an endpoint until it is enabled; new events pass it by."""
    from payments.webhooks import endpoints

    with books.writing() as transaction:
        row = endpoints.disable(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def _every() -> Iterator[dict[str, Any]]:
    from payments.transaction import Transaction
    from payments.webhooks import endpoints

    with books.reading() as connection:
        after = ""
        while rows := endpoints.listed(Transaction(connection), after=after):
            yield from (endpoints.view(row) for row in rows)
            after = rows[-1]["id"]
