"""`billing audit`: who did what, where, and why."""

import typer

from cli import database_access, options, tables

COLUMNS = ("created_at", "actor", "door", "action", "object_id", "reason", "changed")
NARROW = ("created_at", "actor", "action", "object_id")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Who did what by hand.")
    group.callback()(lambda: None)  # or a group of one verb would be that verb
    group.command("list")(list_)
    root.add_typer(group, name="audit")


def list_(
    actor: str | None = typer.Option(
        None, help="Only what they did: a person's name, or the id of an API key."
    ),
    action: str | None = typer.Option(None, help="Only this, such as charge.resolve."),
    object_: str | None = typer.Option(
        None, "--object", metavar="ID", help="Only what was done to it."
    ),
    request: str | None = typer.Option(None, metavar="ID", help="Only what this request did."),
    since: options.Moment = None,
    until: options.Moment = None,
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List what people and API keys did, newest first. Nothing of it can be changed."""
    from payments.access import audit_log
    from payments.history import settled

    filters = {
        "actor": actor,
        "action": action,
        "object_id": object_,
        "request_id": request,
        "since": since,
        "until": until,
    }
    with database_access.reading() as connection:
        whole = settled.horizon(connection, audit_log.TABLE)
        found = audit_log.every(connection, filters=filters, until=whole)
        views = (audit_log.view(row) for row in found)
        if not as_json:
            views = ({**view, "changed": audit_log.changes(view)} for view in views)
        tables.show_many(
            views, COLUMNS, narrow=NARROW, limit=limit, as_json=as_json, nothing="nothing was done"
        )
