"""`billing endpoint`: who is told by webhook."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import database_access, options, output, tables

COLUMNS = ("id", "state", "producer", "url", "event_types", "description", "created_at")
NARROW = ("id", "state", "url")

InFlight = Annotated[
    int | None,
    typer.Option(help="How many webhooks may be under way there at once: 1 to 100 (16)."),
]


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Receivers of webhooks.")
    group.command("add")(add)
    group.command("list")(list_)
    group.command("enable")(enable)
    group.command("disable")(disable)
    group.command("update")(update)
    group.command("rotate")(rotate)
    group.command("ping")(ping)
    group.command("delete")(delete)
    root.add_typer(group, name="endpoint")


def add(
    url: str,
    event: list[str] = typer.Option(
        [], metavar="TYPE", help="Only these, such as charge.succeeded. May be repeated."
    ),
    description: str | None = typer.Option(None),
    max_in_flight: InFlight = None,
    producer: str | None = typer.Option(
        None, help="Only events of what this producer asked for; of all producers without it."
    ),
    as_json: options.Json = False,
) -> None:
    """Send webhooks to a URL. Its secret is shown now, and never again."""
    from payments.webhooks import endpoints
    from payments.webhooks.target import TargetCheck
    from service.settings import load

    check = TargetCheck(load().webhook_allow_private)
    with database_access.writing() as transaction:
        row = endpoints.add(
            transaction,
            url=url,
            target_check=check,
            event_types=event,
            description=description,
            max_in_flight=max_in_flight,
            producer=producer,
        )
    tables.show({**endpoints.view(row), "secret": row.secrets[0]}, as_json=as_json)


def list_(as_json: options.Json = False) -> None:
    """List all endpoints, without their secrets."""
    tables.show_many(_every(), COLUMNS, narrow=NARROW, as_json=as_json, nothing="no endpoints")


def enable(endpoint_id: str, as_json: options.Json = False) -> None:
    """Send to an endpoint again, beginning with what waited."""
    from payments.webhooks import endpoints

    with database_access.writing() as transaction:
        row = endpoints.enable(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def disable(endpoint_id: str, as_json: options.Json = False) -> None:
    """Send nothing to an endpoint until it is enabled; new events pass it by."""
    from payments.webhooks import endpoints

    with database_access.writing() as transaction:
        row = endpoints.disable(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def update(
    endpoint_id: str,
    url: str | None = typer.Option(None, help="Where to send from now on."),
    event: list[str] = typer.Option(
        [], metavar="TYPE", help="Only these from now on. May be repeated."
    ),
    every_event: bool = typer.Option(False, help="All types but the .pending ones from now on."),
    description: str | None = typer.Option(None, help="An empty one takes it away."),
    max_in_flight: InFlight = None,
    as_json: options.Json = False,
) -> None:
    """Change what is given; the rest stays."""
    from payments.webhooks import endpoints
    from payments.webhooks.target import TargetCheck
    from service.settings import load

    if event and every_event:
        raise options.Misused("give one of --event and --every-event")
    changes: dict[str, object] = {}
    if url is not None:
        changes["url"] = url
    if event or every_event:
        changes["event_types"] = event
    if description is not None:
        changes["description"] = description or None
    if max_in_flight is not None:
        changes["max_in_flight"] = max_in_flight
    check = TargetCheck(load().webhook_allow_private)
    with database_access.writing() as transaction:
        row = endpoints.update(transaction, endpoint_id, changes=changes, target_check=check)
    tables.show(endpoints.view(row), as_json=as_json)


def rotate(
    endpoint_id: str,
    overlap: int | None = typer.Option(
        None, metavar="SECONDS", help="So long the secret before signs, too (a day); 0 = no more."
    ),
    as_json: options.Json = False,
) -> None:
    """Make a new secret. It is shown now, and never again."""
    from payments.views import moment
    from payments.webhooks import endpoints

    overlap_s = endpoints.OVERLAP_S if overlap is None else overlap
    with database_access.writing() as transaction:
        row = endpoints.rotate_secret(transaction, endpoint_id, overlap_s=overlap_s)
    told = {"secret": row.secrets[0], "older_secrets_until": moment(row.older_secrets_until)}
    tables.show({**endpoints.view(row), **told}, as_json=as_json)


def ping(endpoint_id: str, wait: options.Wait = None, as_json: options.Json = False) -> None:
    """Send an endpoint a ping, whatever it asks for; with --wait, tell what it answered."""
    from payments.webhooks import pings

    with database_access.writing() as transaction:
        event_id = pings.ping(transaction, endpoint_id)
    told = {"event_id": event_id, "endpoint_id": endpoint_id}
    if wait is None:
        tables.show(told, as_json=as_json)
        return
    with database_access.reading() as connection:
        came = database_access.wait_until(
            lambda: pings.came_of_it(connection, event_id),
            lambda seen: seen.number is not None,
            wait_s=wait,
        )
    tables.show({**told, **came._asdict()}, as_json=as_json)
    if came.state != "delivered":
        said = came.error or came.status_code or f"nothing yet after {wait:g} s"
        raise output.Failed(f"not delivered: {said}", code="not_delivered")


def delete(endpoint_id: str, as_json: options.Json = False) -> None:
    """Delete an endpoint: pending deliveries are given up, and its secret is wiped."""
    from payments.webhooks import endpoints

    with database_access.writing() as transaction:
        row = endpoints.delete(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def _every() -> Iterator[dict[str, Any]]:
    from payments.transaction import Transaction
    from payments.webhooks import endpoints

    with database_access.reading() as connection:
        after = ""
        while rows := endpoints.listed(Transaction(connection), after=after):
            yield from (endpoints.view(row) for row in rows)
            after = rows[-1].id
