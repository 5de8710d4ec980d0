"""`billing sandbox`: the customer's part, for charges that wait for a customer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from cli import database_access, options, output

if TYPE_CHECKING:
    from sqlalchemy import Connection


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Act as the customer of a charge at the sandbox."
    )
    group.command("complete")(complete)
    group.command("decline")(decline)
    root.add_typer(group, name="sandbox")


def complete(id_: str = typer.Argument(metavar="ID"), as_json: options.Json = False) -> None:
    """Do what a charge is waiting for (pm_sandbox_requires_action): the money moves."""
    from payments.processors import sandbox

    _decide(sandbox.complete, id_, "completed", as_json=as_json)


def decline(id_: str = typer.Argument(metavar="ID"), as_json: options.Json = False) -> None:
    """Refuse what a charge is waiting for: it fails."""
    from payments.processors import sandbox

    _decide(sandbox.decline, id_, "declined", as_json=as_json)


def _decide(
    decide: "Callable[[Connection, str], None]", id_: str, done: str, *, as_json: bool
) -> None:
    # On our connection, but in the sandbox's tables only; its event comes to us like any other.
    with database_access.opened() as engine, engine.begin() as connection:
        decide(connection, id_)
    output.show({"id": id_, "sandbox": done}, as_json=as_json)
