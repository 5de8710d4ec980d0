"""Products over HTTP: what is sold."""

from functools import partial
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.examples import as_it_is
from api.description.route_docs import described, listing_of, ref
from api.routes import catalog_routes
from api.routes.catalog_routes import ProductFilters
from api.routes.dependencies import Asker, acting, app_state, router_of
from api.routes.payment_routes import PREFIX
from api.routes.request_bodies import body
from infra.billing.contract.objects import Deleted, Product
from infra.billing.contract.objects.sales import A_PRODUCT
from infra.billing.contract.requests.product_request import ProductChanges, ProductRequest
from payments.catalog import products
from payments.catalog.catalog_views import deleted_view, product_view

router = router_of("Products", f"{PREFIX}/products")


@router.post(
    "",
    **described(
        {201: ref(Product), 200: ref(Product)},
        refuses=(409,),
        is_made=True,
    ),
)
async def create_product(
    request: Request,
    access: Asker,
    wanted: Annotated[ProductRequest, body(ProductRequest)],
) -> Response:
    """Make a product, once per key. 200: a repeat (`Idempotent-Replayed: true`),
    answered with the product as it is now."""
    here = app_state(request)
    make = partial(products.create, request=wanted, livemode=here.livemode)
    row, is_new = await here.database.transaction(make, acting=acting(request))
    return catalog_routes.made(product_view(row), is_new=is_new)


@router.get("", **described({200: listing_of(Product)}))
async def list_products(
    request: Request, _: Asker, filters: Annotated[ProductFilters, Query()]
) -> Response:
    """List products, newest first, by page or by cursor."""
    return await catalog_routes.listed(request, "product", filters)


@router.get("/{id}", **described({200: ref(Product)}, refuses=(404,)))
async def get_product(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a product."""
    row = await app_state(request).database.read(partial(products.get, id_=id))
    return answers.one(product_view(row))


@router.put("/{id}", **described({200: ref(Product)}, refuses=(404,)))
async def update_product(
    request: Request,
    _: Asker,
    id: str,  # noqa: A002  # likewise
    wanted: Annotated[ProductChanges, body(ProductChanges)],
) -> Response:
    """Change a product: what is not sent stays, null unsets; metadata is merged."""
    change = partial(products.change, id_=id, changes=wanted)
    row = await app_state(request).database.transaction(change, acting=acting(request))
    return answers.one(product_view(row))


@router.put(
    "/{id}/archive",
    **described({200: ref(Product)}, refuses=(404,), shows={200: as_it_is("archived")}),
)
async def archive_product(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Take no new charges by its prices, and no new prices. What is pending goes on."""
    archive = partial(products.archive, id_=id)
    row = await app_state(request).database.transaction(archive, acting=acting(request))
    return answers.one(product_view(row))


@router.delete(
    "/{id}",
    **described(
        {200: ref(Deleted)},
        refuses=(404, 409),
        shows={200: {"id": A_PRODUCT, "object": "product"}},
    ),
)
async def delete_product(request: Request, _: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Delete a product for good, while it has no prices."""
    delete = partial(products.delete, id_=id)
    row = await app_state(request).database.transaction(
        delete, acting=acting(request), idempotent=False
    )
    return answers.one(deleted_view(row, "product"))
