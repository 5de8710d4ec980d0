"""Prices: what products cost. `billing.price.create(…)`, `retrieve`, `update`, `list`, `inventory`,
`archive`, `delete`, `quote`. All of it needs an http(s) url.

The `id` of a price may be its lookup key everywhere: your own name for it, which can be moved.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.billing import arguments
from infra.billing.arguments import UNSET, Unset
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.ids import is_price_id
from infra.billing.contract.objects import Price, Quote, Resource
from infra.billing.verbs import listed, verb

ROUTE = "prices"


@verb
def create(
    *,
    product_id: str,
    currency_id: str,
    unit_amount: str | int | None = None,
    type: str | None = None,
    recurring: Mapping[str, Any] | None = None,
    tiers: Sequence[Mapping[str, Any]] | None = None,
    tiers_mode: str | None = None,
    billing_scheme: str | None = None,
    transform_quantity: Mapping[str, Any] | None = None,
    nickname: str | None = None,
    active: bool = True,
    lookup_key: str | None = None,
    transfer_lookup_key: bool = False,
    quantity_available: int | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Price]:
    """Say what a product costs, once per `idempotency_key`. What it costs never changes.

    `unit_amount` in minor units of the currency, as digits or a whole number: "2000" is 20.00 USD,
    and a float is refused. `currency_id` is "cur_usd" and the like; `recurring` is
    `{"interval": "month"}`, with `interval_count` and `usage_type` if they are not 1 and licensed.
    Instead of `unit_amount`, `tiers` with a `tiers_mode`: each has an `up_to`, of which the last is
    "inf", and a `unit_amount`, a `flat_amount`, or both. `transform_quantity` sells in packages:
    `{"divide_by": 10, "round": "up"}`. `quantity_available` is the stock to begin with; None is
    without limit, for ever. `transfer_lookup_key` takes the lookup key from the price that has it.

    Without a key one is made before the first try, so that this call makes one price however often
    it is tried; a retry of yours needs a key of yours. Raises InvalidRequest, KeyReused,
    LookupKeyInUse, ProductInactive, Unavailable.
    """
    body = arguments.given(
        product_id=product_id,
        currency_id=currency_id,
        unit_amount=unit_amount,
        type=type,
        recurring=recurring,
        tiers=tiers,
        tiers_mode=tiers_mode,
        billing_scheme=billing_scheme,
        transform_quantity=transform_quantity,
        nickname=nickname,
        active=active,
        lookup_key=lookup_key,
        transfer_lookup_key=transfer_lookup_key or None,
        quantity_available=quantity_available,
        metadata=metadata,
        idempotency_key=arguments.key(idempotency_key),
    )
    return Call(Ask("POST", (ROUTE,), body=body), Price)


@verb
def retrieve(id: str) -> Call[Price]:
    """The price with this id or lookup key. Raises NotFound."""
    return Call(Ask("GET", (ROUTE, arguments.price_name(id))), Price)


get = retrieve  # as it is called for charges


@verb
def update(
    id: str,
    *,
    nickname: str | Unset | None = UNSET,
    active: bool | Unset = UNSET,
    lookup_key: str | Unset | None = UNSET,
    transfer_lookup_key: bool = False,
    metadata: Mapping[str, str | None] | Unset = UNSET,
) -> Call[Price]:
    """Change what is passed, and leave the rest. None unsets `nickname` and `lookup_key`.

    `metadata` is merged into what is there: `{"plan": None}` removes a name. What a price costs
    never changes: make another, with `transfer_lookup_key=True`, and archive this one.
    Raises NotFound, LookupKeyInUse.
    """
    body = arguments.passed(
        nickname=nickname,
        active=active,
        lookup_key=lookup_key,
        transfer_lookup_key=transfer_lookup_key or UNSET,
        metadata=metadata,
    )
    # By a lookup key that moves, a second try finds another price, or none.
    repeatable = is_price_id(arguments.price_name(id))
    return Call(Ask("PUT", (ROUTE, id), body=body, repeatable=repeatable), Price)


@listed
def list(
    *,
    active: bool | None = None,
    type: str | None = None,
    currency_id: str | None = None,
    product_id: str | None = None,
    lookup_key: str | None = None,
    page: int | None = None,
    page_size: int | None = None,
    order: str | None = None,
    cursor: str | None = None,
) -> ListCall[Price]:
    """A part of the prices, newest first; `.auto_paging_iter()` goes through all of them.

    `page` counts from 1, `page_size` is at most 100 (20 unless given), `order` is "desc" or "asc".
    `.count` is how many there are in all, `.list` is what is on this page.
    """
    query = arguments.counted(
        active=active,
        type=type,
        currency_id=currency_id,
        product_id=product_id,
        lookup_key=lookup_key,
        page=page,
        page_size=page_size,
        order=order,
        cursor=cursor,
    )
    return ListCall((ROUTE,), query, Price, entries="list")


@verb
def inventory(
    id: str, *, quantity: int, action: str, idempotency_key: str | None = None
) -> Call[Price]:
    """Count what came in ("increment") or went out otherwise than by a charge ("decrement").

    The answer has the new `quantity_available`. Without a key one is made before the first try, so
    that this call counts once however often it is tried; a retry of yours needs a key of yours.
    Raises InsufficientInventory, whose `facts` are `available` and `requested`, InventoryUnlimited,
    KeyReused, NotFound.
    """
    body = arguments.given(
        quantity=quantity,
        action=action,
        idempotency_key=arguments.key(idempotency_key),
    )
    return Call(Ask("PUT", (ROUTE, arguments.price_name(id), "inventory"), body=body), Price)


@verb
def archive(id: str) -> Call[Price]:
    """Take it off sale: it takes no new charges, and what was charged by it stays.

    `update(id, active=True)` puts it back. Raises NotFound.
    """
    # By a lookup key that has moved meanwhile, a second try would archive another price.
    repeatable = is_price_id(arguments.price_name(id))
    return Call(Ask("PUT", (ROUTE, id, "archive"), repeatable=repeatable), Price)


@verb
def delete(id: str) -> Call[Resource]:
    """Forget a price that nothing was charged by, for good. Raises PriceInUse, NotFound."""
    # By a lookup key that has moved meanwhile, a second try would delete another price.
    repeatable = is_price_id(arguments.price_name(id))
    # The answer is empty if an earlier try deleted it, and its answer got lost.
    deleted = {"id": id, "object": "price", "deleted": True}
    asked = Ask("DELETE", (ROUTE, id), repeatable=repeatable)
    return Call(asked, lambda told: Resource({**deleted, **told}))


@verb
def quote(id: str, *, quantity: int) -> Call[Quote]:
    """What this many units cost, and why, line by line; nothing is reserved. Raises NotFound."""
    body = arguments.given(quantity=quantity)
    return Call(Ask("POST", (ROUTE, arguments.price_name(id), "quote"), body=body), Quote)
