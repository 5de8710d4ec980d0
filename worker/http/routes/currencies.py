"""Currencies over HTTP: those of ISO 4217."""

from starlette.requests import Request
from starlette.responses import Response

from payments.prices import currencies
from worker.contract.catalogue import Currency
from worker.http import answers
from worker.http.described import described, listing_of, ref
from worker.http.routes.needs import Reader, router_of
from worker.http.routes.objects import PREFIX

router = router_of("Currencies", f"{PREFIX}/currencies")


@router.get("", **described({200: listing_of(Currency)}))
async def list_currencies(request: Request, _: Reader) -> Response:
    """List all currencies, by their codes; on one page."""
    every = currencies.every()
    return answers.listing(len(every), every, next_cursor=None)


@router.get("/{id}", **described({200: ref(Currency)}, refuses=(404,)))
async def get_currency(request: Request, _: Reader, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get a currency by its id."""
    return answers.one(currencies.get(id))
