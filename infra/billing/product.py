"""Products: what is sold. `billing.product.create(…)`, `retrieve`, `update`, `list`, `archive`,
`delete`. All of it needs an http(s) url."""

from collections.abc import Mapping

from infra.billing import arguments
from infra.billing.arguments import UNSET, Unset
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.objects import Product, Resource
from infra.billing.verbs import listed, verb

ROUTE = "products"


@verb
def create(
    *,
    name: str,
    description: str | None = None,
    active: bool = True,
    type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Product]:
    """Make a product, once per `idempotency_key`; then give it prices.

    Without a key one is made before the first try, so that this call makes one product however
    often it is tried; a retry of yours needs a key of yours. `type` may be "good" or "service", and
    nothing depends on it. Raises InvalidRequest, KeyReused, Unavailable.
    """
    body = arguments.given(
        name=name,
        description=description,
        active=active,
        type=type,
        metadata=metadata,
        idempotency_key=arguments.key(idempotency_key),
    )
    return Call(Ask("POST", (ROUTE,), body=body), Product)


@verb
def retrieve(id: str) -> Call[Product]:
    """The product with this id. Raises NotFound."""
    return Call(Ask("GET", (ROUTE, arguments.product_id(id))), Product)


get = retrieve  # as it is called for charges


@verb
def update(
    id: str,
    *,
    name: str | Unset = UNSET,
    description: str | Unset | None = UNSET,
    active: bool | Unset = UNSET,
    metadata: Mapping[str, str | None] | Unset = UNSET,
) -> Call[Product]:
    """Change what is passed, and leave the rest. `description=None` unsets it.

    `metadata` is merged into what is there: `{"colour": None}` removes a name. Raises NotFound.
    """
    body = arguments.passed(name=name, description=description, active=active, metadata=metadata)
    return Call(Ask("PUT", (ROUTE, arguments.product_id(id)), body=body), Product)


@listed
def list(
    *,
    active: bool | None = None,
    page: int | None = None,
    page_size: int | None = None,
    order: str | None = None,
    cursor: str | None = None,
) -> ListCall[Product]:
    """A part of the products, newest first; `.auto_paging_iter()` goes through all of them.

    `page` counts from 1, `page_size` is at most 100 (20 unless given), `order` is "desc" or "asc".
    """
    query = arguments.counted(
        active=active, page=page, page_size=page_size, order=order, cursor=cursor
    )
    return ListCall((ROUTE,), query, Product, entries="list")


@verb
def archive(id: str) -> Call[Product]:
    """Take it off sale: no new prices, and no new charges by those it has. What was charged stays.

    `update(id, active=True)` puts it back. Raises NotFound.
    """
    return Call(Ask("PUT", (ROUTE, arguments.product_id(id), "archive")), Product)


@verb
def delete(id: str) -> Call[Resource]:
    """Forget a product that has no prices, for good. Raises ProductInUse, NotFound."""
    # The answer is empty if an earlier try deleted it, and its answer got lost.
    deleted = {"id": id, "object": "product", "deleted": True}
    asked = Ask("DELETE", (ROUTE, arguments.product_id(id)))
    return Call(asked, lambda told: Resource({**deleted, **told}))
