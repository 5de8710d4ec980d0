"""Actions on prices: counting their stock, and archiving them."""

from functools import partial

from api.console.actions.action import Action, Doing, Done, Input
from infra.billing.contract.requests.inventory_request import InventoryRequest
from payments.access.scopes import PRICES_WRITE
from payments.catalog import inventory, prices
from payments.parsing import parse
from payments.payment_errors import InvalidRequest

_COUNT = (("increment", "More: they came in"), ("decrement", "Fewer: they are gone"))


async def _count(doing: Doing) -> Done:
    quantity = doing.fields.get("quantity", "")
    if not (quantity.isascii() and quantity.isdigit() and len(quantity) < 12):
        raise InvalidRequest("quantity must be a whole number from 1", param="quantity")
    fields = {
        "quantity": int(quantity),
        "action": doing.fields.get("action", ""),
        "idempotency_key": doing.key,
        "producer": doing.session.access.producer or "default",
    }
    request = parse(InventoryRequest, fields)
    adjust = partial(inventory.adjust, name=doing.id, request=request)
    await doing.here.database.transaction(adjust, acting=doing.acting)
    return Done(f"/prices/{doing.id}")


async def _archive(doing: Doing) -> Done:
    await doing.here.database.transaction(
        partial(prices.archive, name=doing.id), acting=doing.acting
    )
    return Done(f"/prices/{doing.id}")


ACTIONS = (
    Action(
        of="prices",
        name="stock",
        title="Count stock",
        permission=PRICES_WRITE,
        says="Counts what came in, or what went out otherwise than by a charge.",
        run=_count,
        is_possible=lambda row: row.quantity_available is not None,
        inputs=(
            Input("action", "Which way", "choice", "", True, _COUNT),
            Input("quantity", "How many", "number", "", True),
        ),
    ),
    Action(
        of="prices",
        name="archive",
        title="Archive",
        permission=PRICES_WRITE,
        says="Takes no new charges by this price from now on. Those that were made stay as they"
        " are.",
        run=_archive,
        is_possible=lambda row: row.active,
        is_dangerous=True,
    ),
)
