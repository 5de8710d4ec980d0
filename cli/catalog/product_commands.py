"""`billing product`: what is sold."""

import typer

from cli import database_access, options, tables
from cli.actor import acts

COLUMNS = ("id", "name", "active", "created_at")
NARROW = ("id", "name", "active")


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What is sold.")
    group.command("create")(acts(create))
    group.command("get")(get)
    group.command("list")(list_)
    group.command("update")(acts(update))
    group.command("archive")(acts(archive))
    group.command("delete")(acts(delete))
    root.add_typer(group, name="product")


def create(
    name: str,
    description: str | None = typer.Option(None, help="For people."),
    active: options.Active = None,
    metadata: options.Metadata = None,
    key: options.Key = None,
    producer: options.Producer = "default",
    as_json: options.Json = False,
) -> None:
    """Make a product, once per key."""
    from infra.billing.contract.requests.product_request import ProductRequest
    from payments.catalog import products
    from payments.catalog.catalog_views import product_view
    from payments.parsing import read
    from service import wiring
    from service.settings import load

    fields = options.fields(
        name=name,
        description=description,
        active=active,
        metadata=options.pairs(metadata),
        idempotency_key=key,
        producer=producer,
    )
    request, livemode = read(ProductRequest, fields), wiring.livemode(load())
    with database_access.writing() as transaction:
        row, _ = products.create(transaction, request, livemode=livemode)
    tables.show(product_view(row), as_json=as_json)


def get(product_id: str, as_json: options.Json = False) -> None:
    """Show a product."""
    from payments.catalog import products
    from payments.catalog.catalog_views import product_view

    with database_access.reading() as connection:
        row = products.get(connection, product_id)
    tables.show(product_view(row), as_json=as_json)


def list_(
    active: bool | None = typer.Option(None, "--active/--inactive", help="Only those."),
    order: options.Order = "desc",
    limit: options.Limit = 20,
    as_json: options.Json = False,
) -> None:
    """List products, newest first."""
    from payments.catalog import listing
    from payments.history import settled

    with database_access.reading() as connection:
        until = settled.horizon(connection, "products")
        every = listing.every(
            connection, "product", filters={"active": active}, order=order, until=until
        )
        tables.show_many(
            every, COLUMNS, narrow=NARROW, limit=limit, as_json=as_json, nothing="no products"
        )


def update(
    product_id: str,
    name: str | None = typer.Option(None),
    description: str | None = typer.Option(None, help="An empty one takes it away."),
    active: options.Active = None,
    metadata: options.Metadata = None,
    unset: options.Unset = None,
    as_json: options.Json = False,
) -> None:
    """Change what is given; the rest stays."""
    from infra.billing.contract.requests.product_request import ProductChanges
    from payments.catalog import products
    from payments.catalog.catalog_views import product_view
    from payments.catalog.changes import changes

    sent = options.sent(
        name=name,
        active=active,
        metadata=options.metadata_changes(metadata, unset),
    ) | options.emptied(description=description)
    with database_access.writing() as transaction:
        row = products.change(transaction, product_id, changes(ProductChanges, sent))
    tables.show(product_view(row), as_json=as_json)


def archive(product_id: str, as_json: options.Json = False) -> None:
    """No new prices, and no new charges by those it has. What is pending goes on."""
    from payments.catalog import products
    from payments.catalog.catalog_views import product_view

    with database_access.writing() as transaction:
        row = products.archive(transaction, product_id)
    tables.show(product_view(row), as_json=as_json)


def delete(product_id: str, as_json: options.Json = False) -> None:
    """Delete a product for good, while it has no prices."""
    from payments.catalog import products
    from payments.catalog.catalog_views import deleted_view

    with database_access.writing() as transaction:
        row = products.delete(transaction, product_id)
    tables.show(deleted_view(row, "product"), as_json=as_json)
