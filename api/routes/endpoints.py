"""Webhook endpoints over HTTP: who is told, where, and of what."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api import answers, request_input
from api.description.route_docs import described, page_of, ref
from api.routes.bodies import Body
from api.routes.dependencies import Asker, app_state, router_of
from api.routes.filters import LIMIT, PageSize, moment
from api.routes.objects import PREFIX
from infra.billing.contract.objects import Endpoint, Pinged
from payments.access.scopes import Access
from payments.errors import InvalidRequest
from payments.intake import once
from payments.transaction import Transaction
from payments.webhooks import endpoints, pings, replays

router = router_of("Webhook endpoints", f"{PREFIX}/webhook-endpoints")

# Of one call: far below the deadline of a request. `has_more` says to call again.
REPLAYED_MAX = 1_000
_PINGED = ref(Pinged)


class Place(BaseModel):
    """Where to read on."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: PageSize = Field(LIMIT, description="How many at most.")
    cursor: str = Field("", description="The `next_cursor` of the page before.")


@router.post(
    "",
    **described(
        {201: ref("NewWebhookEndpoint"), 200: ref("NewWebhookEndpoint")}, refuses=(404, 409)
    ),
)
async def create_webhook_endpoint(
    request: Annotated[Request, Body("WebhookEndpointRequest")], access: Asker
) -> Response:
    """Send webhooks to a URL, once per key. The secret that signs them is in this answer, and for a
    day in those to repeats under the same key; then in none."""
    fields, key = await _once(
        request, "url", "event_types", "description", "max_in_flight", "producer"
    )
    here = app_state(request)
    add = partial(
        once.add_endpoint, key=key, access=access, fields=fields, target_check=here.target_check
    )
    view, is_new = await here.database.transaction(add, idempotent=key is not None)
    headers = {"location": f"{PREFIX}/webhook-endpoints/{view['id']}", **_replayed(is_new)}
    return answers.one(view, status=201 if is_new else 200, headers=headers)


@router.get("", **described({200: page_of(Endpoint)}))
async def list_webhook_endpoints(
    request: Request, access: Asker, place: Annotated[Place, Query()]
) -> Response:
    """List endpoints, in the order of their ids."""

    def read(connection: Any) -> Any:
        # One more than asked for tells whether there is a next page.
        return endpoints.listed(
            Transaction(connection), limit=place.limit + 1, after=place.cursor, access=access
        )

    found = await app_state(request).database.read(read)
    rows = found[: place.limit]
    more = len(found) > len(rows)
    views = [endpoints.view(row) for row in rows]
    return answers.page(views, next_cursor=rows[-1].id if more else None)


@router.get("/{id}", **described({200: ref(Endpoint)}, refuses=(404,)))
async def get_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get an endpoint, without its secret."""

    def read(connection: Any) -> Any:
        return endpoints.get(Transaction(connection), id, access=access)

    return answers.one(endpoints.view(await app_state(request).database.read(read)))


@router.patch(
    "/{id}",
    **described({200: ref(Endpoint)}, refuses=(404,)),
)
async def update_webhook_endpoint(
    request: Annotated[Request, Body("WebhookEndpointChanges")],
    access: Asker,
    id: str,  # noqa: A002  # likewise
) -> Response:
    """Change an endpoint: its url, event types, description, `max_in_flight` or state. What is not
    sent stays."""
    changes = await request_input.fields(request)
    here = app_state(request)
    change = partial(
        endpoints.update,
        endpoint_id=id,
        changes=changes,
        target_check=here.target_check,
        access=access,
    )
    return answers.one(endpoints.view(await here.database.transaction(change)))


@router.delete("/{id}", **described({204: {}}, refuses=(404,)))
async def delete_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Delete an endpoint: pending deliveries are given up; what was sent stays on record."""
    await app_state(request).database.transaction(
        partial(endpoints.delete, endpoint_id=id, access=access)
    )
    return Response(status_code=204)


@router.post(
    "/{id}/rotate-secret",
    **described({200: ref("NewWebhookEndpoint")}, refuses=(404, 409)),
)
async def rotate_webhook_secret(
    request: Annotated[Request, Body("SecretRotation", is_required=False)],
    access: Asker,
    id: str,  # noqa: A002  # likewise
) -> Response:
    """Make a new secret, once per key. It is in this answer, and for a day in those to repeats
    under the same key. For `overlap_s` seconds (a day, unless sent) the one before signs, too."""
    fields, key = await _once(request, "overlap_s", body_is_required=False)
    rotate = partial(once.rotate_secret, endpoint_id=id, key=key, access=access, **fields)
    here = app_state(request)
    view, is_new = await here.database.transaction(rotate, idempotent=key is not None)
    return answers.one(view, headers=_replayed(is_new))


@router.post(
    "/{id}/ping",
    **described({202: _PINGED, 200: _PINGED}, refuses=(404, 409)),
)
async def ping_webhook_endpoint(
    request: Annotated[Request, Body("Ping", is_required=False)],
    access: Asker,
    id: str,  # noqa: A002  # likewise
) -> Response:
    """Send the endpoint an event of type `ping`, whatever its event types; once per key."""
    _, key = await _once(request, body_is_required=False)

    def ping(transaction: Transaction) -> dict[str, Any]:
        return {"event_id": pings.ping(transaction, id, access=access)}

    return await _done(request, access, "endpoint.ping", key, {"endpoint_id": id}, ping)


@router.post(
    "/{id}/replay",
    **described({202: ref("Replayed"), 200: ref("Replayed")}, refuses=(404, 409)),
)
async def replay_to_webhook_endpoint(
    request: Annotated[Request, Body("Replay")],
    access: Asker,
    id: str,  # noqa: A002  # likewise
) -> Response:
    """Send events again, under their own ids: those with `event_ids`, or those created from `since`
    on and before `until`; once per key. While `has_more`, call again with `after` = `next_after`
    (and another key)."""
    by_ids, by_time = ("event_ids",), ("since", "until", "only", "after")
    fields, key = await _once(request, *by_ids, *by_time)
    said = {"endpoint_id": id, **fields}
    if {"event_ids", "since"} <= fields.keys():
        raise InvalidRequest("send event_ids or since, not both", param="since")
    request_input.only(fields, *(by_ids if "event_ids" in fields else by_time))
    for name in ("since", "until"):
        if name in fields:
            fields[name] = moment(name, fields[name])
    after = fields.get("after", 0)
    if isinstance(after, bool) or not isinstance(after, int) or not 0 <= after < 2**63:
        raise InvalidRequest("after must be the next_after of the call before", param="after")

    def replay(transaction: Transaction) -> dict[str, Any]:
        done = replays.replay(transaction, id, limit=REPLAYED_MAX, access=access, **fields)
        return {"replayed": done.count, "has_more": done.has_more, "next_after": done.next_after}

    return await _done(request, access, "endpoint.replay", key, said, replay)


async def _once(
    request: Request, *names: str, body_is_required: bool = True
) -> tuple[dict[str, Any], object]:
    """The fields of the body, which may have these names, and the idempotency key; None without."""
    given = await (request_input.fields if body_is_required else request_input.fields_if_any)(
        request
    )
    fields = request_input.with_key(given, request.headers)
    key = fields.pop("idempotency_key", None)
    return request_input.only(fields, *names, "idempotency_key"), key


async def _done(
    request: Request,
    access: Access,
    operation: str,
    key: object,
    said: Mapping[str, Any],
    do: Callable[[Transaction], dict[str, Any]],
) -> Response:
    """202 for what is done now, 200 for a repeat under its key."""

    def run(transaction: Transaction) -> once.Done:
        return once.once(
            transaction,
            operation,
            key=key,
            asked=said,
            do=lambda: do(transaction),
            access=access,
        )

    done = await app_state(request).database.transaction(run, idempotent=key is not None)
    status = 202 if done.is_new else 200
    return answers.one(done.answer, status=status, headers=_replayed(done.is_new))


def _replayed(is_new: bool) -> dict[str, str]:
    return {} if is_new else {"idempotent-replayed": "true"}
