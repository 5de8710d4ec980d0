"""Webhook endpoints over HTTP: who is told, where, and of what."""

from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api import answers, repeats, request_input
from api.description.route_docs import described, page_of, ref
from api.routes.dependencies import Asker, acting, app_state, router_of
from api.routes.filters import LIMIT, PageSize
from api.routes.payment_routes import PREFIX
from api.routes.request_bodies import Body, Given, keyed_fields
from infra.billing.contract.objects import Endpoint, Pinged
from infra.billing.contract.requests.endpoint_request import (
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from infra.billing.contract.requests.endpoint_verbs import Ping, Replay, SecretRotation
from payments.intake import once
from payments.parsing import parse
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
        {201: ref("NewWebhookEndpoint"), 200: ref("NewWebhookEndpoint")},
        refuses=(404, 409),
        is_made=True,
    ),
)
async def create_webhook_endpoint(
    request: Request,
    access: Asker,
    given: Annotated[Given, keyed_fields(WebhookEndpointRequest)],
) -> Response:
    """Send webhooks to a URL, once per key. The secret that signs them is in this answer, and for a
    day in those to repeats under the same key; then in none."""
    here = app_state(request)
    add = partial(
        once.add_endpoint,
        key=given.key,
        access=access,
        fields=given.fields,
        target_check=here.target_check,
        vault=here.vault,
    )
    view, is_new = await here.database.transaction(
        add, acting=acting(request), idempotent=given.key is not None
    )
    headers = {"location": f"{PREFIX}/webhook-endpoints/{view['id']}", **repeats.told(is_new)}
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
    request: Annotated[Request, Body(WebhookEndpointChanges)],
    access: Asker,
    id: str,  # noqa: A002  # likewise
) -> Response:
    """Change an endpoint: its settings, or whether it is enabled. What is not sent stays."""
    changes = await request_input.fields(request)
    here = app_state(request)
    change = partial(
        endpoints.update,
        endpoint_id=id,
        changes=changes,
        target_check=here.target_check,
        vault=here.vault,
        access=access,
    )
    row = await here.database.transaction(change, acting=acting(request))
    return answers.one(endpoints.view(row))


@router.delete("/{id}", **described({204: {}}, refuses=(404,)))
async def delete_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Delete an endpoint: pending deliveries are given up; what was sent stays on record."""
    await app_state(request).database.transaction(
        partial(endpoints.delete, endpoint_id=id, access=access),
        acting=acting(request),
    )
    return Response(status_code=204)


@router.post(
    "/{id}/rotate-secret",
    **described({200: ref("NewWebhookEndpoint")}, refuses=(404, 409)),
)
async def rotate_webhook_secret(
    request: Request,
    access: Asker,
    id: str,  # noqa: A002  # likewise
    given: Annotated[Given, keyed_fields(SecretRotation, is_required=False)],
) -> Response:
    """Make a new secret, once per key. It is in this answer, and for a day in those to repeats
    under the same key. For `overlap_s` seconds (a day, unless sent) the one before signs, too."""
    here = app_state(request)
    rotate = partial(
        once.rotate_secret,
        endpoint_id=id,
        key=given.key,
        access=access,
        vault=here.vault,
        **given.fields,
    )
    view, is_new = await here.database.transaction(
        rotate, acting=acting(request), idempotent=given.key is not None
    )
    return answers.one(view, headers=repeats.told(is_new))


@router.post(
    "/{id}/ping",
    **described({202: _PINGED, 200: _PINGED}, refuses=(404, 409)),
)
async def ping_webhook_endpoint(
    request: Request,
    access: Asker,
    id: str,  # noqa: A002  # likewise
    given: Annotated[Given, keyed_fields(Ping, is_required=False)],
) -> Response:
    """Send the endpoint an event of type `ping`, whatever its event types; once per key."""

    def ping(transaction: Transaction) -> dict[str, Any]:
        return {"event_id": pings.ping(transaction, id, access=access)}

    return await repeats.done(
        request, access, "endpoint.ping", given.key, {"endpoint_id": id}, ping
    )


@router.post(
    "/{id}/replay",
    **described({202: ref("Replayed"), 200: ref("Replayed")}, refuses=(404, 409)),
)
async def replay_to_webhook_endpoint(
    request: Request,
    access: Asker,
    id: str,  # noqa: A002  # likewise
    given: Annotated[Given, keyed_fields(Replay)],
) -> Response:
    """Send events again, under their own ids: those with `event_ids`, or those created from `since`
    on and before `until`; once per key. While `has_more`, call again with `after` = `next_after`
    (and another key)."""
    said = {"endpoint_id": id, **given.fields}
    wanted = parse(Replay, given.fields).given()

    def replay(transaction: Transaction) -> dict[str, Any]:
        done = replays.replay(transaction, id, limit=REPLAYED_MAX, access=access, **wanted)
        return {"replayed": done.count, "has_more": done.has_more, "next_after": done.next_after}

    return await repeats.done(request, access, "endpoint.replay", given.key, said, replay)
