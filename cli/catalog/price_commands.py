"""`billing price`: what products cost, and how much is left of them."""

from typing import TYPE_CHECKING

import typer

from cli import database_access, options, tables
from cli.actor import acts
from cli.catalog import model
from infra.billing.contract.words import Interval, PriceType, Rounding, TiersMode, UsageType

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.rows import PriceRow
    from payments.transaction import Transaction

COLUMNS = ("id", "lookup_key", "product", "costs", "quantity_available", "active", "created_at")
NARROW = ("id", "lookup_key", "costs")


def register(root: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="What products cost. PRICE is an id or a lookup key."
    )
    group.command("create")(acts(create))
    group.command("get")(get)
    group.command("list")(list_)
    group.command("quote")(quote)
    group.command("inventory")(acts(inventory))
    group.command("update")(acts(update))
    group.command("archive")(acts(archive))
    group.command("delete")(acts(delete))
    root.add_typer(group, name="price")


def create(
    product: str = typer.Option(..., metavar="PROD_ID", help="What is sold."),
    currency: str = typer.Option(..., help="Three letters, as in ISO 4217."),
    unit_amount: str | None = typer.Option(
        None, help="What a unit costs, in minor units: 1999 for USD 19.99."
    ),
    tier: model.Tiers = None,
    tiers_mode: TiersMode | None = typer.Option(
        None, help="Each unit by its own tier, or all by the tier of the last."
    ),
    divide_by: str | None = typer.Option(None, help="How many units a package has."),
    round_: Rounding | None = typer.Option(
        None, "--round", help="Which way a package that is not full is rounded."
    ),
    interval: Interval | None = typer.Option(None, help="For a price that recurs: how often."),
    interval_count: str | None = typer.Option(
        None, help="The number of intervals between two payments."
    ),
    usage_type: UsageType | None = typer.Option(None),
    quantity: str | None = typer.Option(
        None, help="How many there are to begin with; without limit without it."
    ),
    nickname: str | None = typer.Option(None, help="What you call it."),
    lookup_key: str | None = typer.Option(None, help="Your own name for it."),
    transfer_lookup_key: bool = typer.Option(
        False, "--transfer-lookup-key", help="Take the lookup key from the price that has it."
    ),
    active: options.Active = None,
    metadata: options.Metadata = None,
    key: options.Key = None,
    producer: options.Producer = "default",
    as_json: options.Json = False,
) -> None:
    """Make a price of a product, once per key. What it costs never changes."""
    from infra.billing.contract.requests.price_request import PriceRequest
    from payments.catalog import prices
    from payments.parsing import read
    from service import wiring
    from service.settings import load

    fields = options.fields(
        product_id=product,
        currency_id=model.currency_id(currency),
        unit_amount=options.number(unit_amount),
        tiers=model.tiers(tier),
        tiers_mode=tiers_mode,
        transform_quantity=model.part(divide_by=options.number(divide_by), round=round_),
        recurring=model.part(
            interval=interval,
            interval_count=options.number(interval_count),
            usage_type=usage_type,
        ),
        quantity_available=options.number(quantity),
        nickname=nickname,
        lookup_key=lookup_key,
        transfer_lookup_key=transfer_lookup_key or None,
        active=active,
        metadata=options.pairs(metadata),
        idempotency_key=key,
        producer=producer,
    )
    request, livemode = read(PriceRequest, fields), wiring.livemode(load())
    with database_access.writing() as transaction:
        row, _ = prices.create(transaction, request, livemode=livemode)
        view = prices.shown(transaction, row)
    tables.show(view, as_json=as_json)


def get(price: str, as_json: options.Json = False) -> None:
    """Show a price, and what is left in stock."""
    from payments.catalog import price_locks
    from payments.catalog.catalog_views import price_view

    with database_access.reading() as connection:
        found = price_locks.find(connection, price)
    tables.show(price_view(*found), as_json=as_json)


def list_(
    product: str | None = typer.Option(None, metavar="PROD_ID", help="Those of this product."),
    currency: str | None = typer.Option(None, help="Those in this currency."),
    type_: PriceType | None = typer.Option(None, "--type", help="Only those."),
    lookup_key: str | None = typer.Option(None, help="The one with this key."),
    active: bool | None = typer.Option(None, "--active/--inactive", help="Only those."),
    order: options.Order = "desc",
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List prices, newest first."""
    from payments.catalog import listing
    from payments.history import settled

    filters = {
        "product_id": product,
        "currency_id": currency and model.currency_id(currency),
        "type": type_,
        "lookup_key": lookup_key,
        "active": active,
    }
    with database_access.reading() as connection:
        until = settled.horizon(connection, "prices")
        every = listing.every(connection, "price", filters=filters, order=order, until=until)
        tables.show_many(
            every, COLUMNS, narrow=NARROW, limit=limit, as_json=as_json, nothing="no prices"
        )


def quote(
    price: str,
    quantity: str = typer.Option(..., help="How many units."),
    as_json: options.Json = False,
) -> None:
    """Show what a quantity would cost, line by line. It reserves nothing."""
    from infra.billing.contract.requests.inventory_request import QuoteRequest
    from payments.catalog import price_locks, quotes
    from payments.catalog.catalog_views import quote_view
    from payments.parsing import parse

    request = parse(QuoteRequest, {"quantity": options.number(quantity)})
    with database_access.reading() as connection:
        found, _ = price_locks.find(connection, price)
    tables.show(quote_view(quotes.quote(found, request.quantity)), as_json=as_json)


def inventory(
    price: str,
    increment: str | None = typer.Option(None, metavar="QUANTITY", help="Units that came in."),
    decrement: str | None = typer.Option(
        None, metavar="QUANTITY", help="Units that went out other than by a charge."
    ),
    key: options.Key = None,
    producer: options.Producer = "default",
    as_json: options.Json = False,
) -> None:
    """Count the stock of a price up or down, once per key; a repeat changes nothing."""
    from infra.billing.contract.requests.inventory_request import InventoryRequest
    from payments.catalog import inventory as stock
    from payments.catalog.catalog_views import price_view
    from payments.parsing import read

    if (increment is None) == (decrement is None):
        raise options.Misused("give one of --increment and --decrement")
    fields = options.fields(
        quantity=options.number(decrement if increment is None else increment),
        action="decrement" if increment is None else "increment",
        idempotency_key=key,
        producer=producer,
    )
    request = read(InventoryRequest, fields)
    with database_access.writing() as transaction:
        row, product, _ = stock.adjust(transaction, price, request)
    tables.show(price_view(row, product), as_json=as_json)


def update(
    price: str,
    nickname: str | None = typer.Option(None, help="An empty one takes it away."),
    lookup_key: str | None = typer.Option(None, help="An empty one takes it away."),
    transfer_lookup_key: bool = typer.Option(
        False, "--transfer-lookup-key", help="Take the lookup key from the price that has it."
    ),
    active: options.Active = None,
    metadata: options.Metadata = None,
    unset: options.Unset = None,
    as_json: options.Json = False,
) -> None:
    """Change what is given; the rest stays. What it costs never changes."""
    from infra.billing.contract.requests.price_request import PriceChanges
    from payments.catalog import prices
    from payments.catalog.changes import changes

    sent = options.sent(
        active=active,
        metadata=options.metadata_changes(metadata, unset),
        transfer_lookup_key=transfer_lookup_key or None,
    ) | options.emptied(nickname=nickname, lookup_key=lookup_key)
    wanted = changes(PriceChanges, sent)
    _changed(lambda transaction: prices.change(transaction, price, wanted), as_json=as_json)


def archive(price: str, as_json: options.Json = False) -> None:
    """Take no new charges by this price. Those that are pending go on."""
    from payments.catalog import prices

    _changed(lambda transaction: prices.archive(transaction, price), as_json=as_json)


def delete(price: str, as_json: options.Json = False) -> None:
    """Delete a price for good, while nothing was charged by it."""
    from payments.catalog import prices
    from payments.catalog.catalog_views import deleted_view

    with database_access.writing() as transaction:
        row = prices.delete(transaction, price)
    tables.show(deleted_view(row, "price"), as_json=as_json)


def _changed(change: "Callable[[Transaction], PriceRow]", *, as_json: bool) -> None:
    from payments.catalog import prices

    with database_access.writing() as transaction:
        view = prices.shown(transaction, change(transaction))
    tables.show(view, as_json=as_json)
