"""`billing delivery`: the result of each webhook, and sending it again."""

import typer

from cli import database_access, options, output, tables
from cli.actor import acts

COLUMNS = (
    "id", "state", "event_type", "answer", "attempt_count", "created_at", "next_attempt_at",
    "event_id",
)  # fmt: skip
NARROW = ("id", "state", "event_type", "answer")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What became of each webhook.")
    group.command("list")(list_)
    group.command("show")(show)
    group.command("retry")(acts(retry))
    root.add_typer(group, name="delivery")


def list_(
    endpoint_id: str,
    state: str | None = typer.Option(None, help="pending, delivered or exhausted."),
    type_: str | None = typer.Option(
        None, "--type", metavar="TYPE", help="Those of events of this type."
    ),
    event: str | None = typer.Option(None, metavar="EVT_ID", help="That of this event."),
    since: options.Moment = None,
    until: options.Moment = None,
    after_sequence: int | None = typer.Option(
        None, min=0, metavar="NUMBER", help="Those with a higher webhook-sequence, in its order."
    ),
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List the deliveries to an endpoint, newest first; also to one that is deleted."""
    from payments.webhooks.records import delivery_queries

    asked = {
        "state": state, "event_type": type_, "event_id": event, "since": since, "until": until,
        "after_sequence": after_sequence,
    }  # fmt: skip
    with database_access.reading() as connection:
        found = delivery_queries.every(connection, endpoint_id, filters=asked)
        tables.show_many(
            map(delivery_queries.view, found), COLUMNS, narrow=NARROW, limit=limit, as_json=as_json,
            nothing="no deliveries",
        )  # fmt: skip


def show(delivery_id: str, as_json: options.Json = False) -> None:
    """Show a delivery and each of its attempts: when, how long, and the answer."""
    from payments.webhooks.records import delivery_queries

    with database_access.reading(snapshot=True) as connection:
        view = delivery_queries.with_attempts(connection, delivery_id)
    tables.show(view, as_json=as_json)


def retry(delivery_id: str, wait: options.Wait = None, as_json: options.Json = False) -> None:
    """Send a delivery again now; with --wait, tell what was answered."""
    from payments.webhooks import replays
    from payments.webhooks.records import delivery_queries

    with database_access.writing() as transaction:
        row = replays.retry(transaction, delivery_id)
    before = row.attempts
    if wait is not None:
        with database_access.reading() as connection:
            row = database_access.wait_until(
                lambda: delivery_queries.get(connection, delivery_id),
                lambda seen: seen.attempts > before,
                wait_s=wait,
            )
    tables.show(delivery_queries.view(row), as_json=as_json)
    if wait is not None and (row.attempts == before or row.state != "delivered"):
        came = row.attempts > before and (row.status_code or row.error)
        said = came or f"nothing yet after {wait:g} s"
        raise output.Failed(f"not delivered: {said}", code="not_delivered")
