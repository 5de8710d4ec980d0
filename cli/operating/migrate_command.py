"""`billing migrate`: bring the database up to date."""

import typer

from cli import output


def register(root: typer.Typer) -> None:
    root.command()(migrate)


def migrate(
    check: bool = typer.Option(False, "--check", help="Change nothing; fail if it is behind."),
    as_json: output.Json = False,
) -> None:
    """Bring the database up to date. Safe while workers run, and when run twice at once."""
    from service import settings
    from service.database import migrate as migration
    from service.database import revisions
    from service.database.database_limits import COMMAND, MIGRATION
    from service.database.engine import open_engine

    given = settings.load(broker_url="redis://unused")
    engine = (
        open_engine(given.database_url, COMMAND)
        if check
        else open_engine(given.migrated_at, MIGRATION)
    )
    try:
        todo = (
            revisions.missing(engine)
            if check
            else migration.upgrade(engine, runs_as=given.database_url)
        )
    finally:
        engine.dispose()
    if check and todo:
        raise output.Failed(f"the database lacks {', '.join(todo)}: run `billing migrate`")
    if as_json:
        output.print_json({"applied": todo})
    elif todo:
        output.console().print(f"applied {', '.join(todo)}")
    else:
        output.console().print("the database is up to date")
