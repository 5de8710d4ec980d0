"""What people and API keys did: `billing.audit.list()`. For keys with the scope `operator`."""

from infra.billing import arguments
from infra.billing.calls.described import ListCall
from infra.billing.contract.objects import AuditEntry
from infra.billing.verbs import paged


@paged
def list(
    *,
    actor: str | None = None,
    action: str | None = None,
    object_id: str | None = None,
    request_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> ListCall[AuditEntry]:
    """A page of actions, newest first; `.auto_paging_iter()` goes through all of them. `since` and
    `until` are moments (RFC 3339, with a zone), `limit` is at most 100. Raises InsufficientScope;
    ReadingNeedsHttp over a broker."""
    query = arguments.given(
        actor=actor,
        action=action,
        object_id=object_id,
        request_id=request_id,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    return ListCall(("audit",), query, AuditEntry)
