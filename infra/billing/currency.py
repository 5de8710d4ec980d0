"""Currencies: `billing.currency.list()`, `retrieve`. Both need an http(s) url."""

from infra.billing import arguments, client, pages
from infra.billing.contract.objects import Currency
from infra.billing.objects import Listing

ROUTE = "currencies"


def list() -> Listing[Currency]:
    """All currencies that one can pay with."""
    return pages.listing((ROUTE,), {}, Currency)


def retrieve(id: str) -> Currency:
    """The currency with this id, such as "cur_usd". Raises NotFound."""
    return Currency(client.transport().ask("GET", ROUTE, arguments.currency_id(id)))


get = retrieve  # as it is called for charges
