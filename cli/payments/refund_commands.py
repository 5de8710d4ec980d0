"""`billing refund`: create, get, list and import refunds."""

from typing import Annotated

import typer

from cli import asking, database_access, options, tables
from cli.actor import acts
from cli.importing.command import import_command
from cli.payments import payment_requests

COLUMNS = ("refund_id", "state", "amount", "charge_id", "created_at")
NARROW = ("refund_id", "state", "amount", "created_at")

ChargeId = Annotated[str, typer.Argument(parser=options.charge_id, metavar="CHARGE_ID")]


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Money given back.")
    group.command("create", cls=asking.Refund)(acts(create))
    group.command("get")(get)
    group.command("list")(list_)
    group.command("import")(
        import_command(
            "refund",
            "Give money back for every line of a file, once per line.",
        )
    )
    root.add_typer(group, name="refund")


def create(
    ctx: typer.Context,
    charge_id: ChargeId,
    metadata: options.Metadata = None,
    key: options.Key = None,
    producer: options.Producer = "default",
    wait: options.Wait = None,
    as_json: options.Json = False,
) -> None:
    """Give money of a charge back, once per key."""
    fields = options.fields(
        **asking.typed(ctx),
        charge_id=charge_id,
        metadata=options.pairs(metadata),
        idempotency_key=key,
        producer=producer,
    )
    payment_requests.create("refund", fields, wait_s=wait, as_json=as_json)


def get(refund_id: str, as_json: options.Json = False) -> None:
    """Show a refund."""
    from payments.kinds import REFUND
    from payments.lifecycle import payment_queries

    with database_access.reading() as connection:
        row = payment_queries.get(connection, REFUND, refund_id)
    tables.show(REFUND.view(row), as_json=as_json)


def list_(
    state: str | None = typer.Option(None, help="pending, succeeded or failed."),
    phase: options.Phase = None,
    charge: str | None = typer.Option(None, help="Those of this charge."),
    created_after: options.Moment = None,
    created_before: options.Moment = None,
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List refunds, newest first."""
    filters = {
        "state": state,
        "phase": phase,
        "charge_id": charge,
        "created_after": created_after,
        "created_before": created_before,
    }
    with payment_requests.listed("refund", filters) as views:
        tables.show_many(
            views, COLUMNS, narrow=NARROW, limit=limit, as_json=as_json, nothing="no refunds"
        )
