"""`billing webhook`: send events to an endpoint again."""

import typer

from cli import database_access, options, output
from cli.actor import acts


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What endpoints are sent.")
    group.callback()(lambda: None)  # or a group of one verb would be that verb
    group.command("replay")(acts(replay))
    root.add_typer(group, name="webhook")


def replay(
    endpoint_id: str,
    event: list[str] = typer.Option(
        [], metavar="EVT_ID", help="Exactly this event, whatever became of it. May be repeated."
    ),
    since: options.Moment = None,
    until: options.Moment = None,
    only: str = typer.Option(
        "undelivered",
        help="Of those since then: undelivered (failed, missed, or waiting), failed, missed (never"
        " to be sent), or all that it asks for.",
    ),
    as_json: options.Json = False,
) -> None:
    """Send events again, or for the first time, under the ids that they have."""
    if bool(event) == (since is not None):
        raise options.Misused("give --event, or --since and perhaps --until")
    from payments.webhooks.replays import Replayed
    from payments.webhooks.replays import replay as send

    part, total = Replayed(0, has_more=True), 0
    with output.progress("replaying", None) as bar:
        while part.has_more:  # a transaction for each part, so that deliveries begin meanwhile
            with database_access.writing() as transaction:
                part = send(
                    transaction,
                    endpoint_id,
                    event_ids=event or None,
                    since=since,
                    until=until,
                    only=only,
                    after=part.next_after,
                )
            total += part.count
            bar.advance(bar.task_ids[0], part.count)
    output.show({"endpoint_id": endpoint_id, "replayed": total}, as_json=as_json)
