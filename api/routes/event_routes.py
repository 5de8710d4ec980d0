"""Events over HTTP: the feed, for those who read; and their deliveries to those who are told."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api import answers, repeats
from api.database import Database
from api.description.route_docs import described, object_of, page_of, ref
from api.routes.dependencies import Asker, app_state, router_of
from api.routes.filters import DeliveryFilters, PageSize
from api.routes.payment_routes import PREFIX
from api.routes.request_bodies import Given, keyed_fields
from infra.billing.contract.limits import LIMIT_MAX
from infra.billing.contract.objects import Charge, Delivery, DeliveryWithAttempts, Event
from infra.billing.contract.requests.endpoint_verbs import Retry
from infra.billing.contract.requests.request_fields import whole_number
from models.rows import EventRow
from payments.transaction import Transaction
from payments.webhooks import feed, replays
from payments.webhooks.records import delivery_queries

router = router_of("Events", f"{PREFIX}/events")
deliveries = router_of("Deliveries", f"{PREFIX}/deliveries")
deliveries_of = router_of("Deliveries", f"{PREFIX}/webhook-endpoints")

_PAGE = object_of(
    data={"type": "array", "items": ref(Event)},
    has_more={"type": "boolean"},
    next_cursor={
        "type": "string",
        "description": "The next `after`; also at the end.",
        "examples": ["1042"],
    },
)
# Transactions last milliseconds. A gap that one leaves open for longer ends the page.
GAP_PATIENCE_S = 0.5
GAP_LOOK_S = 0.01


class Place(BaseModel):
    """Where to read on."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    after: Annotated[int, Field(ge=0, le=feed.POSITION_MAX), whole_number(0, feed.POSITION_MAX)] = (
        Field(0, description="The position behind which to begin.")
    )
    limit: PageSize = Field(LIMIT_MAX, description="How many at most.")


@router.get(
    "", **described({200: _PAGE}, refuses=(410,), shows={200: {"data": [{"data": ref(Charge)}]}})
)
async def list_events(
    request: Request, access: Asker, place: Annotated[Place, Query()]
) -> Response:
    """List events in one order: those of your own producer and of the catalogue, or of all
    producers with a key for all. `next_cursor` is the next `after`, also at the end: ask again
    there later, and no event is missed. `after=0` begins with the first event that is kept.
    `charge.pending` and `refund.pending` are among them only while an enabled endpoint asks for
    them by name."""
    database = app_state(request).database
    after = place.after or await database.read(feed.beginning)
    if access.sees_all:
        found = await _settled(database, after, place.limit + 1)
        rows = found[: place.limit]
        has_more, through = len(found) > len(rows), rows[-1].position if rows else after
    else:
        part = await _settled_part(database, str(access.producer), after, place.limit)
        rows, has_more, through = part.rows, part.has_more, part.through
    await database.read(partial(feed.require_kept, after=after))
    body = "".join(
        (
            '{"data":[',
            ",".join(map(feed.item, rows)),
            f'],"has_more":{"true" if has_more else "false"},"next_cursor":"{through}"}}',
        )
    )
    return Response(body, media_type=answers.MEDIA_TYPE)


async def _settled(database: Database, after: int, limit: int) -> Sequence[EventRow]:
    """The events behind `after`, up to the first position that may yet be filled."""
    rows = await database.read(partial(feed.read, after=after, limit=limit))
    whole = feed.before_gap(rows, after=after)
    if len(whole) == len(rows):
        return rows
    last = rows[-1].position
    if not await _gaps_are_for_good(database):
        return whole
    # What filled a gap meanwhile is there now; what is missing still stays missing.
    return await database.read(partial(feed.read, after=after, limit=limit, until=last))


async def _settled_part(database: Database, producer: str, after: int, limit: int) -> feed.Part:
    """Likewise, the events that a producer may see."""
    read = partial(feed.read_part, producer=producer, after=after, limit=limit)
    part = await database.snapshot(read)
    if part.is_whole:
        return part
    if await _gaps_are_for_good(database):
        again = await database.snapshot(partial(read, until=part.through))
        return replace(again, has_more=again.has_more or part.has_more)
    until = await database.read(partial(feed.last_before_gap, after=after))
    return await database.snapshot(partial(read, until=until))


async def _gaps_are_for_good(database: Database) -> bool:
    """Whether every transaction that may fill a gap that was seen has ended, or does soon."""
    mark = await database.read(feed.mark)
    loop = asyncio.get_running_loop()
    gives_up_at = loop.time() + GAP_PATIENCE_S
    while not await database.read(partial(feed.is_settled, below=mark)):
        if loop.time() >= gives_up_at:
            return False
        await asyncio.sleep(GAP_LOOK_S)
    return True


# --- Deliveries


@deliveries_of.get("/{id}/deliveries", **described({200: page_of(Delivery)}, refuses=(404,)))
async def list_deliveries(
    request: Request,
    access: Asker,
    id: str,  # noqa: A002  # its name in the URL
    filters: Annotated[DeliveryFilters, Query()],
) -> Response:
    """List what was, is and will be delivered to an endpoint, newest first; also to one that is
    deleted. With `event_type` a page may be short, or empty, while `has_more`: read on."""
    read = partial(
        delivery_queries.page,
        endpoint_id=id,
        filters=filters.conditions(),
        limit=filters.limit,
        cursor=filters.cursor or None,
        access=access,
    )
    found = await app_state(request).database.read(read)
    return answers.page(
        [delivery_queries.view(row) for row in found.rows], next_cursor=found.next_cursor
    )


@deliveries.get("/{id}", **described({200: ref(DeliveryWithAttempts)}, refuses=(404,)))
async def get_delivery(request: Request, access: Asker, id: str) -> Response:  # noqa: A002  # likewise
    """Get a delivery with its attempts: when, how long, and what was answered."""
    read = partial(delivery_queries.with_attempts, id_=id, access=access)
    return answers.one(await app_state(request).database.snapshot(read))


@deliveries.post(
    "/{id}/retry", **described({202: ref(Delivery), 200: ref(Delivery)}, refuses=(404, 409))
)
async def retry_delivery(
    request: Request,
    access: Asker,
    id: str,  # noqa: A002  # likewise
    given: Annotated[Given, keyed_fields(Retry, is_required=False)],
) -> Response:
    """Send a delivery again now, whatever became of it, with new retries; once per key."""

    def retry(transaction: Transaction) -> dict[str, Any]:
        return delivery_queries.view(replays.retry(transaction, id, access=access))

    return await repeats.done(
        request, access, "delivery.retry", given.key, {"delivery_id": id}, retry
    )
