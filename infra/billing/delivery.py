"""Deliveries of events to webhook endpoints: `billing.delivery.list(…)`, `get`, `retry`."""

from datetime import datetime

from infra.billing import arguments
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.objects import Delivery, DeliveryWithAttempts
from infra.billing.verbs import paged, verb


@verb
def get(id: str) -> Call[DeliveryWithAttempts]:
    """The delivery with this id, and its `attempts`: when, how long, and the answer. Raises
    NotFound; ReadingNeedsHttp over a broker."""
    return Call(Ask("GET", ("deliveries", arguments.id_of(id))), DeliveryWithAttempts)


@paged
def list(
    endpoint_id: str,
    *,
    state: str | None = None,
    event_type: str | None = None,
    event_id: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    after_sequence: int | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> ListCall[Delivery]:
    """A page of the deliveries to an endpoint, newest first; `.auto_paging_iter()` goes through all
    of them. `state` is "pending", "delivered" or "exhausted"; `limit` is at most 100. With
    `event_type` a page may be empty while it `has_more`. `after_sequence` gives those with a higher
    `sequence`, in that order: for a receiver that missed some."""
    query = arguments.given(
        state=state,
        event_type=event_type,
        event_id=event_id,
        since=since,
        until=until,
        after_sequence=after_sequence,
        limit=limit,
        cursor=cursor,
    )
    path = ("webhook-endpoints", arguments.id_of(endpoint_id), "deliveries")
    return ListCall(path, query, Delivery)


@verb
def retry(id: str, *, idempotency_key: str | None = None) -> Call[Delivery]:
    """Send a delivery again now, whatever its state, once per `idempotency_key`, which is created
    for you unless given. Raises NotFound, EndpointDisabled."""
    body = {"idempotency_key": arguments.key(idempotency_key)}
    return Call(Ask("POST", ("deliveries", arguments.id_of(id), "retry"), body=body), Delivery)
