"""Webhook endpoints over HTTP: who is told, where, and of what."""

from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from payments.errors import InvalidRequest
from payments.parsing import whole_number
from payments.transaction import Transaction
from payments.webhooks import endpoints, pings, replays
from worker.contract.objects import WebhookEndpoint
from worker.http import answers, asked
from worker.http.bodies import AN_EVENT
from worker.http.described import described, object_of, page_of, ref
from worker.http.routes.filters import LIMIT, moment
from worker.http.routes.needs import Asker, building, router_of
from worker.http.routes.objects import PREFIX

router = router_of("Webhook endpoints", f"{PREFIX}/webhook-endpoints")

# Of one call: far below the deadline of a request. `has_more` says to call again.
REPLAYED_MAX = 1_000


class Place(BaseModel):
    """Where to read on."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: Annotated[
        int, Field(ge=1, le=endpoints.PAGE_MAX), whole_number(1, endpoints.PAGE_MAX)
    ] = Field(LIMIT, description="How many at most.")
    cursor: str = Field("", description="The `next_cursor` of the page before.")


@router.post("", **described({201: ref("NewWebhookEndpoint")}, body=ref("WebhookEndpointRequest")))
async def create_webhook_endpoint(request: Request, access: Asker) -> Response:
    """Send webhooks to a URL. The secret that signs them is in this answer, and in no other."""
    fields = asked.only(
        await asked.fields(request), "url", "event_types", "description", "producer"
    )
    here = building(request)
    given = {
        "url": fields.pop("url", None),
        "target_check": here.target_check,
        "access": access,
        **fields,
    }
    row = await here.database.transaction(partial(endpoints.add, **given), idempotent=False)
    location = f"{PREFIX}/webhook-endpoints/{row['id']}"
    return answers.one(_with_secret(row), status=201, headers={"location": location})


@router.get("", **described({200: page_of(WebhookEndpoint)}))
async def list_webhook_endpoints(
    request: Request, access: Asker, place: Annotated[Place, Query()]
) -> Response:
    """List endpoints, in the order of their ids."""

    def read(connection: Any) -> Any:
        # One more than asked for tells whether there is a next page.
        return endpoints.listed(
            Transaction(connection), limit=place.limit + 1, after=place.cursor, access=access
        )

    found = await building(request).database.read(read)
    rows = found[: place.limit]
    more = len(found) > len(rows)
    views = [endpoints.view(row) for row in rows]
    return answers.page(views, next_cursor=rows[-1]["id"] if more else None)


@router.get("/{id}", **described({200: ref(WebhookEndpoint)}, refuses=(404,)))
async def get_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # its name in the URL
    """Get an endpoint, without its secret."""

    def read(connection: Any) -> Any:
        return endpoints.get(Transaction(connection), id, access=access)

    return answers.one(endpoints.view(await building(request).database.read(read)))


@router.patch(
    "/{id}",
    **described({200: ref(WebhookEndpoint)}, body=ref("WebhookEndpointChanges"), refuses=(404,)),
)
async def update_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Change an endpoint: its url, event types, description or state. What is not sent stays."""
    changes = await asked.fields(request, nulls=True)
    here = building(request)
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
    """Be done with an endpoint: what waits for it is given up, what was sent stays on record."""
    await building(request).database.transaction(
        partial(endpoints.delete, endpoint_id=id, access=access)
    )
    return Response(status_code=204)


@router.post(
    "/{id}/rotate-secret",
    **described(
        {200: ref("NewWebhookEndpoint")},
        body=ref("SecretRotation"),
        body_is_required=False,
        refuses=(404,),
    ),
)
async def rotate_webhook_secret(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Make a new secret, which is in this answer and in no other. For `overlap_s` seconds (a day,
    unless sent) the one before signs, too."""
    fields = asked.only(await asked.fields_if_any(request), "overlap_s")
    rotate = partial(endpoints.rotate_secret, endpoint_id=id, access=access, **fields)
    row = await building(request).database.transaction(rotate, idempotent=False)
    return answers.one(_with_secret(row))


@router.post(
    "/{id}/ping",
    **described(
        {202: object_of(event_id={"type": "string", "examples": [AN_EVENT]})}, refuses=(404, 409)
    ),
)
async def ping_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Send the endpoint an event of type `ping`, whatever its event types."""
    ping = partial(pings.ping, endpoint_id=id, access=access)
    event_id = await building(request).database.transaction(ping, idempotent=False)
    return answers.one({"event_id": event_id}, status=202)


@router.post(
    "/{id}/replay",
    **described({202: ref("Replayed")}, body=ref("Replay"), refuses=(404, 409)),
)
async def replay_to_webhook_endpoint(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Send events again, under their own ids: those with `event_ids`, or those created from `since`
    on and before `until`. While `has_more`, call again with `after` = `next_after`."""
    fields = await asked.fields(request)
    if {"event_ids", "since"} <= fields.keys():
        raise InvalidRequest("send event_ids or since, not both", param="since")
    names = ("event_ids",) if "event_ids" in fields else ("since", "until", "only", "after")
    asked.only(fields, *names)
    for name in ("since", "until"):
        if name in fields:
            fields[name] = moment(name, fields[name])
    after = fields.get("after", 0)
    if isinstance(after, bool) or not isinstance(after, int) or not 0 <= after < 2**63:
        raise InvalidRequest("after must be the next_after of the call before", param="after")
    replay = partial(replays.replay, endpoint_id=id, access=access, limit=REPLAYED_MAX, **fields)
    done = await building(request).database.transaction(replay, idempotent=False)
    body = {"replayed": done.count, "has_more": done.has_more, "next_after": done.next_after}
    return answers.one(body, status=202)


def _with_secret(row: Any) -> dict[str, Any]:
    return {**endpoints.view(row), "secret": row["secrets"][0]}
