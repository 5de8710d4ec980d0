"""Webhook endpoints: who is notified, where, and of which events. All of it needs an http(s)
url."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from infra.billing import arguments
from infra.billing.arguments import UNSET, Unset, given, passed
from infra.billing.calls.described import Ask, Call, ListCall
from infra.billing.contract.objects import Endpoint, NewEndpoint, Pinged, Replayed
from infra.billing.verbs import paged, verb

ROUTE = "webhook-endpoints"


@verb
def create(
    *,
    url: str,
    event_types: Sequence[str] | None = None,
    description: str | None = None,
    headers: Mapping[str, str] | None = None,
    max_in_flight: int | None = None,
    rate_limit: int | None = None,
    retry_schedule: Sequence[int] | None = None,
    ordered: str | None = None,
    trace_context: str | None = None,
    producer: str | None = None,
    idempotency_key: str | None = None,
    **newer: Any,
) -> Call[NewEndpoint]:
    """Have events sent to `url`; all but the `.pending` ones, or those of `event_types`.

    `headers` are sent with each webhook, besides ours; their values are never shown again.
    `max_in_flight` is how many webhooks may be under way there at once: 1 to 1000, 256 unless
    given; `rate_limit` how many per second at most. `retry_schedule` are the seconds from one try
    to the next, in place of ten tries over three days. `ordered` is "strict" or "relaxed".
    `trace_context` is "forward", for webhooks with the `traceparent` of your request, or "off".
    `newer` are fields that the service knows, and this SDK has no argument for yet.
    They are those of your own producer. With a key for all producers, those of `producer`, or of
    all without it.

    The answer has the `secret` for `billing.webhook.verify`; so have, for a day, those to repeats
    under the same `idempotency_key`, which is made for you unless given.
    """
    body = given(
        url=url,
        event_types=event_types,
        description=description,
        headers=headers,
        max_in_flight=max_in_flight,
        rate_limit=rate_limit,
        retry_schedule=retry_schedule,
        ordered=ordered,
        trace_context=trace_context,
        producer=producer,
        **newer,
    )
    return Call(Ask("POST", (ROUTE,), body=_keyed(body, idempotency_key)), NewEndpoint)


@verb
def get(id: str) -> Call[Endpoint]:
    """The endpoint with this id, without its secret. Raises NotFound."""
    return Call(Ask("GET", (ROUTE, arguments.id_of(id))), Endpoint)


@paged
def list(*, limit: int | None = None, cursor: str | None = None) -> ListCall[Endpoint]:
    """A page of endpoints; `.auto_paging_iter()` goes through all of them."""
    return ListCall((ROUTE,), given(limit=limit, cursor=cursor), Endpoint)


@verb
def update(
    id: str,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    description: str | None = None,
    max_in_flight: int | None = None,
    state: str | None = None,
    headers: Mapping[str, str | None] | Unset | None = UNSET,
    rate_limit: int | Unset | None = UNSET,
    retry_schedule: Sequence[int] | Unset | None = UNSET,
    ordered: str | Unset | None = UNSET,
    trace_context: str | Unset | None = UNSET,
    **newer: Any,
) -> Call[Endpoint]:
    """Change what is given, and leave the rest. `state` is "enabled" or "disabled".

    `headers` are merged into those that are there: `{"x-old": None}` removes one. With a `url` on
    another host all of them must be given anew or removed, as their values were not for it. None
    takes `headers`, `rate_limit`, `retry_schedule`, `ordered` and `trace_context` back to what they
    are unless said.
    """
    body = given(
        url=url,
        event_types=event_types,
        description=description,
        max_in_flight=max_in_flight,
        state=state,
    ) | passed(
        headers=headers,
        rate_limit=rate_limit,
        retry_schedule=retry_schedule,
        ordered=ordered,
        trace_context=trace_context,
        **newer,
    )
    return Call(Ask("PATCH", (ROUTE, arguments.id_of(id)), body=body), Endpoint)


@verb
def delete(id: str) -> Call[None]:
    """Send nothing there any more, and delete the endpoint. Raises NotFound."""
    return Call(Ask("DELETE", (ROUTE, arguments.id_of(id))), lambda _: None)


@verb
def rotate_secret(
    id: str, *, overlap_s: int | None = None, idempotency_key: str | None = None
) -> Call[NewEndpoint]:
    """The endpoint with a new `secret`, shown here and, for a day, to repeats under the same
    `idempotency_key`. The previous one signs, too, for `overlap_s` whole seconds, a day unless
    given."""
    body = given(overlap_s=overlap_s)
    return Call(_post(id, "rotate-secret", _keyed(body, idempotency_key)), NewEndpoint)


@verb
def ping(id: str, *, idempotency_key: str | None = None) -> Call[Pinged]:
    """Send a `ping` there, once per `idempotency_key`; its `event_id` is the `webhook-id` to look
    for."""
    return Call(_post(id, "ping", _keyed({}, idempotency_key)), Pinged)


@verb
def replay(
    id: str,
    *,
    event_ids: Sequence[str] | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    only: str | None = None,
    after: int | None = None,
    idempotency_key: str | None = None,
) -> Call[Replayed]:
    """Send events there again: those of `event_ids`, or of a time; `replayed` says how many.

    `only` is "undelivered", "failed", "missed" (never to be sent) or "all". While the answer says
    `has_more`, call again with `after` its `next_after`. A receiver
    sees the same `webhook-id` as the first time, and `webhook-replay: 1`.
    """
    body = given(event_ids=event_ids, since=since, until=until, only=only, after=after)
    return Call(_post(id, "replay", _keyed(body, idempotency_key)), Replayed)


def _post(id: str, verb: str, body: Mapping[str, Any]) -> Ask:
    return Ask("POST", (ROUTE, arguments.id_of(id), verb), body=body)


def _keyed(body: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    """With a key: what is sent again because its answer got lost is not done again."""
    return {**body, "idempotency_key": arguments.key(key)}
