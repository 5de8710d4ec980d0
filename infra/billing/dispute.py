"""Disputes: `billing.dispute.get(…)`, `list`. They are answered at the processor."""

from infra.billing import arguments
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.objects import Dispute
from infra.billing.verbs import paged, verb


@verb
def get(id: str) -> Call[Dispute]:
    """The dispute with this id, as it stands. Raises NotFound; ReadingNeedsHttp over a broker."""
    return Call(Ask("GET", ("disputes", arguments.id_of(id))), Dispute)


@paged
def list(
    *,
    state: str | None = None,
    charge_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> ListCall[Dispute]:
    """A page of disputes, newest first; `.auto_paging_iter()` goes through all of them. `limit` is
    at most 100. Raises ReadingNeedsHttp over a broker."""
    query = arguments.given(state=state, charge_id=charge_id, limit=limit, cursor=cursor)
    return ListCall(("disputes",), query, Dispute)
