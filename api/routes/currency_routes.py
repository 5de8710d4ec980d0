"""Currencies over HTTP: those of ISO 4217."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api import answers
from api.description.route_docs import described, listing_of, ref
from api.routes.catalog_routes import CurrencyPlace
from api.routes.dependencies import Asker, router_of
from api.routes.payment_routes import PREFIX
from infra.billing.contract.objects import Currency
from payments.catalog import currencies

router = router_of("Currencies", f"{PREFIX}/currencies")


@router.get("", **described({200: listing_of(Currency)}))
async def list_currencies(_: Asker, place: Annotated[CurrencyPlace, Query()]) -> Response:
    """List currencies, by their codes; all on one page by default."""
    every = currencies.every()
    if place.order == "desc":
        every.reverse()
    first = (place.page - 1) * place.page_size
    return answers.listing(len(every), every[first : first + place.page_size], next_cursor=None)


@router.get("/{id}", **described({200: ref(Currency)}, refuses=(404,)))
async def get_currency(_: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a currency by its id."""
    return answers.one(currencies.get(id))
