"""`billing rejected`: requests that came by message and were refused."""

import typer

from cli import database_access, options, tables

COLUMNS = ("id", "created_at", "task", "producer", "code", "param", "detail")
NARROW = ("id", "code", "detail")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Requests that were refused at the broker.")
    group.callback()(lambda: None)  # or a group of one verb would be that verb
    group.command("list")(list_)
    root.add_typer(group, name="rejected")


def list_(limit: options.Limit = 20, as_json: options.Json = False) -> None:
    """List refused requests, newest first; `billing explain rej_…` tells the rest of one."""
    from payments.intake import rejections

    with database_access.reading() as connection:
        found = rejections.newest(connection, limit=limit + 1)
        tables.show_many(
            found,
            COLUMNS,
            narrow=NARROW,
            limit=limit,
            as_json=as_json,
            nothing="no request was refused",
        )
