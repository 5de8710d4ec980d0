"""What products and prices have in common over HTTP: lists, and the answers to what is made."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.list_horizon import horizon
from api.routes.dependencies import app_state
from api.routes.filters import PageSize
from api.routes.payment_routes import PREFIX
from infra.billing.contract.limits import PAGE_MAX
from infra.billing.contract.requests.price_parts import CurrencyId
from infra.billing.contract.requests.request_fields import ProductId, Text, whole_number
from infra.billing.contract.words import PriceType
from payments.catalog.currencies import payable_ids
from payments.catalog.listing import PAGE_SIZE, Kind, page
from payments.payment_errors import InvalidRequest

CURRENCIES_MAX = 300
_PageNumber = Annotated[int, Field(ge=1, le=PAGE_MAX), whole_number(1, PAGE_MAX)]
_CurrencyCount = Annotated[int, Field(ge=1, le=CURRENCIES_MAX), whole_number(1, CURRENCIES_MAX)]

# Described by those that a price may have; one that takes nothing new is taken, too.
_Currency = Annotated[CurrencyId, WithJsonSchema({"type": "string", "enum": payable_ids()})]


class Place(BaseModel):
    """What every list has. Unknown names are refused: a misspelled filter would list everything."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    page: _PageNumber | None = Field(None, description="Which page, from 1; not beside `cursor`.")
    page_size: PageSize = Field(PAGE_SIZE, alias="pageSize", description="How many at most.")
    order: Literal["desc", "asc"] = Field(
        "desc", description="By the moment of creation; `desc` is newest first."
    )
    cursor: str = Field("", description="The `next_cursor` of the page before; empty: the first.")
    livemode: bool | None = Field(
        None, description="Taken and not looked at: a service has one processor."
    )

    def conditions(self) -> dict[str, Any]:
        """The filters for `payments.catalog.listing.page`."""
        places = set(Place.model_fields)
        given: dict[str, Any] = self.model_dump(exclude=places, exclude_none=True)
        return given


class ProductFilters(Place):
    active: bool | None = Field(None, description="Only those that are, or are not.")


class PriceFilters(Place):
    active: bool | None = Field(None, description="Only those that are, or are not.")
    type: PriceType | None = Field(None, description="Only those.")
    currency_id: _Currency | None = Field(None, description="Only those in this currency.")
    product_id: ProductId | None = Field(None, description="Only those of this product.")
    lookup_key: Text | None = Field(None, description="Only the one with this key.")


class CurrencyPlace(BaseModel):
    """Which currencies. There are few, and they are no rows: no cursor, and room for all."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    page: _PageNumber = Field(1, description="Which page, from 1.")
    page_size: _CurrencyCount = Field(
        CURRENCIES_MAX, alias="pageSize", description="How many at most."
    )
    order: Literal["asc", "desc"] = Field("asc", description="By their codes.")
    livemode: bool | None = Field(
        None, description="Taken and not looked at: a currency is always itself."
    )


async def listed(request: Request, kind: Kind, place: Place) -> Response:
    """A part of a list, and how many there are."""
    if place.cursor and place.page is not None:
        raise InvalidRequest("send page or cursor, not both", param="page")
    database = app_state(request).database
    read = partial(
        page,
        kind=kind,
        filters=place.conditions(),
        page=place.page or 1,
        page_size=place.page_size,
        order=place.order,
        cursor=place.cursor or None,
        until=await horizon(database, f"{kind}s"),
    )
    # One moment for the count and the rows.
    found = await database.snapshot(read)
    return answers.listing(found.count, found.views, next_cursor=found.next_cursor)


def made(view: Mapping[str, Any], *, is_new: bool) -> Response:
    """201 for what is new, 200 for a repeat."""
    headers = {"location": f"{PREFIX}/{view['object']}s/{view['id']}"}
    if not is_new:
        headers["idempotent-replayed"] = "true"
    return answers.one(view, status=201 if is_new else 200, headers=headers)
