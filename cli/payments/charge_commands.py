"""`billing charge`: create, capture, cancel, get, list and import charges."""

import typer

from cli import asking, database_access, options, tables
from cli.actor import acts
from cli.importing.command import import_command
from cli.payments import payment_requests

COLUMNS = ("charge_id", "state", "amount", "refunded_amount", "reference", "created_at")
NARROW = ("charge_id", "state", "amount", "created_at")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Money taken from customers.")
    group.command("create", cls=asking.Charge)(acts(create))
    group.command("capture")(acts(capture))
    group.command("cancel")(acts(cancel))
    group.command("get")(get)
    group.command("list")(list_)
    group.command("import")(
        import_command(
            "charge",
            "Take money for every line of a file, once per line.",
        )
    )
    root.add_typer(group, name="charge")


def create(
    ctx: typer.Context,
    metadata: options.Metadata = None,
    key: options.Key = None,
    producer: options.Producer = "default",
    wait: options.Wait = None,
    as_json: options.Json = False,
) -> None:
    """Take money, once per key: an amount, or what a quantity of a price costs.

    The row is committed before the answer, and what is sold is held in stock.
    """
    from infra.billing.contract.requests.charge_request import WAYS

    typed = asking.typed(ctx)
    if not any(typed.keys() >= way.keys() for way in WAYS):
        raise options.Misused("give --amount and --currency, or --price and --quantity")
    fields = options.fields(
        **typed, metadata=options.pairs(metadata), idempotency_key=key, producer=producer
    )
    payment_requests.create("charge", fields, wait_s=wait, as_json=as_json)


def capture(
    charge_id: str,
    amount: str | None = typer.Option(None, help="In minor units; all that is left without it."),
    more: bool = typer.Option(
        False, "--more", help="Not the last capture: the rest stays set aside."
    ),
    key: options.Key = None,
    producer: options.Producer = "default",
    wait: options.Wait = None,
    as_json: options.Json = False,
) -> None:
    """Capture an authorized charge, once per key, for any producer."""
    fields = options.fields(
        charge_id=charge_id,
        amount=options.number(amount),
        final=not more,
        idempotency_key=key,
        producer=producer,
    )
    payment_requests.capture(fields, wait_s=wait, as_json=as_json)


def cancel(
    charge_id: str,
    why: str | None = typer.Option(None, help="Stays in the charge's history."),
    wait: options.Wait = None,
    as_json: options.Json = False,
) -> None:
    """Cancel a charge before any money moves, for any producer.

    What was sent to the processor already is canceled there; money that moved meanwhile wins.
    """
    payment_requests.cancel(charge_id, why=why, wait_s=wait, as_json=as_json)


def get(charge_id: str, as_json: options.Json = False) -> None:
    """Show a charge."""
    from payments.kinds import CHARGE
    from payments.lifecycle import payment_queries

    with database_access.reading() as connection:
        row = payment_queries.get(connection, CHARGE, charge_id)
    tables.show(CHARGE.view(row), as_json=as_json)


def list_(
    state: str | None = typer.Option(None, help="pending, succeeded or failed."),
    phase: options.Phase = None,
    customer: str | None = typer.Option(None, help="Those of this customer."),
    reference: str | None = typer.Option(None, help="Those for this order id."),
    price: str | None = typer.Option(None, help="Those by this price (its id or lookup key)."),
    created_after: options.Moment = None,
    created_before: options.Moment = None,
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List charges, newest first."""
    filters = {
        "state": state,
        "phase": phase,
        "customer_id": customer,
        "reference": reference,
        "price_id": price,
        "created_after": created_after,
        "created_before": created_before,
    }
    with payment_requests.listed("charge", filters) as views:
        tables.show_many(
            views, COLUMNS, narrow=NARROW, limit=limit, as_json=as_json, nothing="no charges"
        )
