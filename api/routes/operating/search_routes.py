"""One search box over HTTP."""

from functools import partial
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.route_docs import described, page_of
from api.routes.dependencies import Asker, app_state, router_of
from api.routes.filters import LIMIT, PageSize
from api.routes.payment_routes import PREFIX
from infra.billing.contract.objects import Find
from payments.history import search as finds
from payments.history.search_text import WANTED_MAX

router = router_of("Operating", f"{PREFIX}/search")


class Wanted(BaseModel):
    """What is searched for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    q: str = Field(
        description="An id, an idempotency key, a reference, a customer, the processor's reference,"
        " the id of a request; an amount (`19.99 EUR`, or `1999` minor units); metadata"
        " (`name:value`, or words of values).",
        min_length=1,
        max_length=WANTED_MAX,
        examples=["order-1042"],
    )
    limit: PageSize = Field(LIMIT, description="How many at most.")
    cursor: str = Field("", description="The `next_cursor` of the page before; empty: the first.")


@router.get("", **described({200: page_of(Find)}))
async def search(request: Request, access: Asker, wanted: Annotated[Wanted, Query()]) -> Response:
    """Find whatever a text names, newest first. Of your own producer, unless the key is for all;
    of what its scopes let it see."""
    read = partial(
        finds.search,
        wanted=wanted.q,
        access=access,
        limit=wanted.limit,
        cursor=wanted.cursor or None,
    )
    page = await app_state(request).database.read(read)
    return answers.page([finds.view(one) for one in page.found], next_cursor=page.next_cursor)
