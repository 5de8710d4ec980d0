"""Currencies: `billing.currency.list()`, `retrieve`. Both need an http(s) url."""

from infra.billing import arguments
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.objects import Currency
from infra.billing.verbs import listed, verb

ROUTE = "currencies"


@listed
def list() -> ListCall[Currency]:
    """All currencies that one can pay with."""
    return ListCall((ROUTE,), {}, Currency, entries="list")


@verb
def retrieve(id: str) -> Call[Currency]:
    """The currency with this id, such as "cur_usd". Raises NotFound."""
    return Call(Ask("GET", (ROUTE, arguments.currency_id(id))), Currency)


get = retrieve  # as it is called for charges
