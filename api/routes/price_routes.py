"""Prices over HTTP: what products cost, and how much is left. `id` is an id or a lookup key."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.examples import as_it_is
from api.description.route_docs import described, listing_of, ref
from api.routes import catalog_routes
from api.routes.catalog_routes import PriceFilters
from api.routes.dependencies import Asker, acting, app_state, router_of
from api.routes.payment_routes import PREFIX
from api.routes.request_bodies import body
from infra.billing.contract.ids import is_price_id
from infra.billing.contract.objects import Deleted, Price, Quote
from infra.billing.contract.requests.inventory_request import InventoryRequest, QuoteRequest
from infra.billing.contract.requests.price_request import PriceChanges, PriceRequest
from models.rows import PriceRow
from payments.catalog import inventory, prices
from payments.catalog.catalog_views import deleted_view, price_view, quote_view
from payments.catalog.price_locks import find
from payments.catalog.quotes import quote
from payments.transaction import Transaction

router = router_of("Prices", f"{PREFIX}/prices")


@router.post(
    "",
    **described(
        {201: ref(Price), 200: ref(Price)},
        refuses=(409,),
        is_made=True,
    ),
)
async def create_price(
    request: Request,
    access: Asker,
    wanted: Annotated[PriceRequest, body(PriceRequest)],
) -> Response:
    """Make a price of a product, once per key. 200: a repeat (`Idempotent-Replayed: true`),
    answered with the price as it is now."""
    here = app_state(request)

    def make(transaction: Transaction) -> tuple[dict[str, Any], bool]:
        row, is_new = prices.create(transaction, wanted, livemode=here.livemode)
        return prices.shown(transaction, row), is_new

    view, is_new = await here.database.transaction(make, acting=acting(request))
    return catalog_routes.made(view, is_new=is_new)


@router.get("", **described({200: listing_of(Price)}))
async def list_prices(
    request: Request, _: Asker, filters: Annotated[PriceFilters, Query()]
) -> Response:
    """List prices, newest first, by page or by cursor."""
    return await catalog_routes.listed(request, "price", filters)


@router.get("/{id}", **described({200: ref(Price)}, refuses=(404,)))
async def get_price(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a price, by its id or its lookup key."""
    return answers.one(price_view(*await app_state(request).database.read(partial(find, name=id))))


@router.put("/{id}", **described({200: ref(Price)}, refuses=(404, 409)))
async def update_price(
    request: Request,
    _: Asker,
    id: str,  # noqa: A002  # likewise
    wanted: Annotated[PriceChanges, body(PriceChanges)],
) -> Response:
    """Change what a price is called, its lookup key, its metadata, or whether it takes new charges.
    What is not sent stays, null unsets; metadata is merged. What it costs never changes."""
    return await _changed(request, id, partial(prices.change, changes=wanted))


@router.put(
    "/{id}/archive",
    **described({200: ref(Price)}, refuses=(404,), shows={200: as_it_is("archived")}),
)
async def archive_price(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Take no new charges by this price. Pending ones finish."""
    return await _changed(request, id, prices.archive)


@router.delete("/{id}", **described({200: ref(Deleted)}, refuses=(404, 409)))
async def delete_price(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Delete a price for good, while nothing was charged by it."""
    delete = partial(prices.delete, name=id)
    row = await app_state(request).database.transaction(
        delete, acting=acting(request), idempotent=False
    )
    return answers.one(deleted_view(row, "price"))


@router.put(
    "/{id}/inventory",
    **described({200: ref(Price)}, refuses=(404, 409)),
)
async def change_price_inventory(
    request: Request,
    access: Asker,
    id: str,  # noqa: A002  # likewise
    wanted: Annotated[InventoryRequest, body(InventoryRequest)],
) -> Response:
    """Count the stock of a price up or down, once per key; a repeat changes nothing
    (`Idempotent-Replayed: true`)."""
    adjust = partial(inventory.adjust, name=id, request=wanted)
    price, product, is_new = await app_state(request).database.transaction(
        adjust, acting=acting(request)
    )
    headers = {} if is_new else {"idempotent-replayed": "true"}
    return answers.one(price_view(price, product), headers=headers)


@router.post("/{id}/quote", **described({200: ref(Quote)}, refuses=(404,)))
async def quote_price(
    request: Request,
    _: Asker,
    id: str,  # noqa: A002  # likewise
    wanted: Annotated[QuoteRequest, body(QuoteRequest)],
) -> Response:
    """Show what a quantity would cost, line by line. It reserves nothing."""
    price, _product = await app_state(request).database.read(partial(find, name=id))
    return answers.one(quote_view(quote(price, wanted.quantity)))


async def _changed(request: Request, name: str, change: Callable[..., PriceRow]) -> Response:
    def run(transaction: Transaction) -> dict[str, Any]:
        return prices.shown(transaction, change(transaction, name=name))

    # A lookup key may be another price's, or nobody's, when the same is done a second time.
    idempotent = is_price_id(name)
    view = await app_state(request).database.transaction(
        run, acting=acting(request), idempotent=idempotent
    )
    return answers.one(view)
