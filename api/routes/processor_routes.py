"""What processors tell by themselves: they bring it to our door, signed, and need no key."""

import random
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from api import request_input
from api.description.refusal_docs import refusal
from api.description.route_docs import answer, ref
from api.edge.problems import EventNotTaken, EventTooEarly, ProcessorSilent
from api.routes.dependencies import app_state, router_of
from api.routes.payment_routes import PREFIX
from payments.lifecycle import reports
from payments.payment_errors import NotFound
from payments.processors.port import BringsEvents, EventRefused, EventUnanswered
from payments.transaction import Transaction

router = router_of("Processors", f"{PREFIX}/processors")

_REFUSED = (400, 404, 408, 409, 413, 415, 421, 429, 500, 503)
_EVENT = {"application/json": {"schema": ref("ProcessorEvent")}}


@router.post(
    "/{name}/events",
    status_code=204,
    responses={204: answer(204, {}), **{status: refusal(status) for status in _REFUSED}},
    openapi_extra={"requestBody": {"required": True, "content": _EVENT}},
    response_class=Response,
)
async def hear_processor(request: Request, name: str) -> Response:
    """For processors: an event, signed in their own way. Whatever it says, the processor is asked
    how that stands; 204 once it is so here, too. Anything else: send it again later."""
    here = app_state(request)
    here.limits.admit_address(request)
    processor: object = here.processors.get(name)
    if not isinstance(processor, BringsEvents):
        raise NotFound("no processor of this name brings events", param="name")
    body = await request_input.raw(request)
    hear = partial(processor.hear, request.headers, body, deadline_s=here.call_deadline_s)
    try:
        heard = await here.hearing(hear)
    except EventRefused as refused:
        raise here.limits.refused(request, EventNotTaken(str(refused))) from None
    except EventUnanswered:
        raise ProcessorSilent from None
    if heard is None:
        return Response(status_code=204)

    def apply(transaction: Transaction) -> bool:
        policy = here.policies[name]
        return reports.hear(transaction, heard, processor=name, policy=policy, dice=random.random)

    if not await here.database.transaction(apply):
        raise EventTooEarly
    return Response(status_code=204)
