"""Requests that a second person must approve: `billing.approval.list()`, `get`, `approve`,
`reject`.

For keys with the scope `operator`.
"""

from infra.billing import arguments
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.objects import Approval
from infra.billing.verbs import paged, verb


@verb
def get(id: str) -> Call[Approval]:
    """The approval with this id, as it stands. Raises NotFound; ReadingNeedsHttp over a broker."""
    return Call(Ask("GET", ("approvals", arguments.id_of(id))), Approval)


@paged
def list(
    *,
    state: str | None = None,
    object_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> ListCall[Approval]:
    """A page of requests, newest first; `.auto_paging_iter()` goes through all of them. `limit` is
    at most 100. Raises InsufficientScope; ReadingNeedsHttp over a broker."""
    query = arguments.given(state=state, object_id=object_id, limit=limit, cursor=cursor)
    return ListCall(("approvals",), query, Approval)


@verb
def approve(id: str, *, reason: str) -> Call[Approval]:
    """Approve it, so that it is done. Repeating this changes nothing.

    Raises SecondPersonRequired (your own key asked for it), NotFound, MoveNotAllowed (it was
    decided otherwise).
    """
    path = ("approvals", arguments.id_of(id), "approve")
    return Call(Ask("POST", path, body={"reason": reason}), Approval)


@verb
def reject(id: str, *, reason: str) -> Call[Approval]:
    """Reject it: a refund fails with `approval_rejected`. Raises NotFound; MoveNotAllowed (it was
    decided otherwise)."""
    path = ("approvals", arguments.id_of(id), "reject")
    return Call(Ask("POST", path, body={"reason": reason}), Approval)
