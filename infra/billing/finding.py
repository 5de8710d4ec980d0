"""One search box: `billing.search("order-1042")`."""

from infra.billing import arguments
from infra.billing.calls.described import ListCall
from infra.billing.contract.objects import Find
from infra.billing.verbs import paged


@paged
def search(q: str, *, limit: int | None = None, cursor: str | None = None) -> ListCall[Find]:
    """A page of what a text names, newest first; `.auto_paging_iter()` goes through all of it.

    An id of any kind, an idempotency key, a reference, a customer, the processor's reference, the
    id of a request; an amount (`"19.99 EUR"`, or `"1999"` minor units); metadata (`"name:value"`,
    or words of values). `limit` is at most 100. Raises ReadingNeedsHttp over a broker."""
    return ListCall(("search",), arguments.given(q=q, limit=limit, cursor=cursor), Find)
