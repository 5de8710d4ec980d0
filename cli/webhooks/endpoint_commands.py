"""`billing endpoint`: the receivers of webhooks."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import asking, database_access, options, output, tables
from cli.actor import acts
from cli.webhooks import receiver_check

COLUMNS = (
    "id", "state", "success", "p95_ms", "oldest_due_at", "producer", "url", "event_types",
    "description", "last_success_at", "created_at",
)  # fmt: skip
NARROW = ("id", "state", "success", "url")

Events = Annotated[
    list[str],
    typer.Option(
        "--event", metavar="TYPE", help="Only these, such as charge.succeeded. May be repeated."
    ),
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="NAME=VALUE",
        help="A header that every webhook there has, too. It is never shown again. NAME=@FILE reads"
        " the value from a file, NAME=- from stdin. Repeatable.",
    ),
]


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Receivers of webhooks.")
    group.command("add", cls=asking.Endpoint)(acts(add))
    group.command("list")(list_)
    group.command("enable")(acts(enable))
    group.command("disable")(acts(disable))
    group.command("update", cls=asking.Endpoint)(acts(update))
    group.command("rotate")(acts(rotate))
    group.command("ping")(acts(ping))
    group.command("check")(receiver_check.check)
    group.command("delete")(acts(delete))
    root.add_typer(group, name="endpoint")


def add(
    ctx: typer.Context,
    url: Annotated[
        str, typer.Argument(help="Where to; - reads it from stdin, for one that has a password.")
    ],
    event: Events = [],  # noqa: B006  # typer makes a new one
    header: Headers = None,
    producer: str | None = typer.Option(
        None, help="Only events of what this producer asked for; of all producers without it."
    ),
    as_json: options.Json = False,
) -> None:
    """Send webhooks to a URL. Its secret is shown only now."""
    from payments.webhooks import endpoints
    from payments.webhooks.target import TargetCheck
    from service.settings import load
    from service.wiring import vault

    settings = load()
    fields = options.sent(
        url=options.read(url),
        event_types=event,
        headers=options.pairs(header, "--header"),
        producer=producer,
    )
    with database_access.writing() as transaction:
        row, secret = endpoints.add(
            transaction,
            target_check=TargetCheck(settings.webhook_allow_private),
            vault=vault(settings),
            **fields,
            **asking.typed(ctx),
        )
    tables.show({**endpoints.view(row), "secret": secret}, as_json=as_json)


def list_(as_json: options.Json = False) -> None:
    """List all endpoints, without their secrets."""
    tables.show_many(every(), COLUMNS, narrow=NARROW, as_json=as_json, nothing="no endpoints")


def enable(endpoint_id: str, as_json: options.Json = False) -> None:
    """Send to an endpoint again, beginning with what waited."""
    from payments.webhooks import endpoints

    with database_access.writing() as transaction:
        row = endpoints.enable(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def disable(endpoint_id: str, as_json: options.Json = False) -> None:
    """Send nothing to an endpoint until it is enabled; it doesn't get new events."""
    from payments.webhooks import endpoints

    with database_access.writing() as transaction:
        row = endpoints.disable(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def update(
    ctx: typer.Context,
    endpoint_id: str,
    event: Events = [],  # noqa: B006  # as above
    every_event: bool = typer.Option(False, help="The default types from now on."),
    header: Headers = None,
    unset_header: list[str] | None = typer.Option(
        None, metavar="NAME", help="A header that goes there no more. Repeatable."
    ),
    as_json: options.Json = False,
) -> None:
    """Change what is given; the rest stays. An empty value is as when nothing was said."""
    from payments.webhooks import endpoints
    from payments.webhooks.target import TargetCheck
    from service.settings import load
    from service.wiring import vault

    if event and every_event:
        raise options.Misused("give one of --event and --every-event")
    changes = asking.changes(ctx) | options.sent(
        headers=options.metadata_changes(header, unset_header, ("--header", "--unset-header"))
    )
    if event or every_event:
        changes["event_types"] = event
    settings = load()
    with database_access.writing() as transaction:
        row = endpoints.update(
            transaction,
            endpoint_id,
            changes=changes,
            target_check=TargetCheck(settings.webhook_allow_private),
            vault=vault(settings),
        )
    tables.show(endpoints.view(row), as_json=as_json)


def rotate(
    endpoint_id: str,
    overlap: int | None = typer.Option(
        None,
        metavar="SECONDS",
        help="Seconds for which the previous secret signs, too (a day by default); 0 = not at all.",
    ),
    as_json: options.Json = False,
) -> None:
    """Make a new secret. It is shown only now."""
    from infra.billing.contract.limits import OVERLAP_S
    from payments.views import moment
    from payments.webhooks import endpoints
    from service.settings import load
    from service.wiring import vault

    overlap_s = OVERLAP_S if overlap is None else overlap
    with database_access.writing() as transaction:
        row, secret = endpoints.rotate_secret(
            transaction, endpoint_id, vault=vault(load()), overlap_s=overlap_s
        )
    result = {"secret": secret, "older_secrets_until": moment(row.older_secrets_until)}
    tables.show({**endpoints.view(row), **result}, as_json=as_json)


def ping(endpoint_id: str, wait: options.Wait = None, as_json: options.Json = False) -> None:
    """Send an endpoint a ping, whatever it asks for; with --wait, tell what it answered."""
    from payments.webhooks import pings

    with database_access.writing() as transaction:
        event_id = pings.ping(transaction, endpoint_id)
    result = {"event_id": event_id, "endpoint_id": endpoint_id}
    if wait is None:
        tables.show(result, as_json=as_json)
        return
    with database_access.reading() as connection:
        came = database_access.wait_until(
            lambda: pings.came_of_it(connection, event_id),
            lambda seen: seen.number is not None,
            wait_s=wait,
        )
    tables.show({**result, **came._asdict()}, as_json=as_json)
    if came.state != "delivered":
        said = came.error or came.status_code or f"nothing yet after {wait:g} s"
        raise output.Failed(f"not delivered: {said}", code="not_delivered")


def delete(endpoint_id: str, as_json: options.Json = False) -> None:
    """Delete an endpoint: pending deliveries are given up, and its secret is wiped."""
    from payments.webhooks import endpoints

    with database_access.writing() as transaction:
        row = endpoints.delete(transaction, endpoint_id)
    tables.show(endpoints.view(row), as_json=as_json)


def every() -> Iterator[dict[str, Any]]:
    """All endpoints as they are shown."""
    from payments.transaction import Transaction
    from payments.webhooks import endpoints

    with database_access.reading() as connection:
        after = ""
        while rows := endpoints.listed(Transaction(connection), after=after):
            yield from (endpoints.view(row) for row in rows)
            after = rows[-1].id
