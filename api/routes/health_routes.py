"""How this process is, and whether it could do its work: for those who watch it. No key needed."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from api import answers
from api.description.refusal_docs import refusal
from api.description.route_docs import answer, ref
from api.routes.dependencies import app_state, router_of
from service.metrics import serving

router = router_of("Health")


@router.get(
    "/healthz",
    responses={200: answer(200, ref("Health")), 421: refusal(421)},
    response_class=Response,
)
async def get_health() -> Response:
    """Whether the process answers: 200. A supervisor restarts it when it doesn't."""
    return answers.one({"status": "ok"})


@router.get(
    "/readyz",
    responses={
        **{status: answer(status, ref("Readiness")) for status in (200, 503)},
        421: refusal(421),
    },
    response_class=Response,
)
async def get_readiness(request: Request) -> Response:
    """Whether requests can be accepted here: 200, or 503 when the database can't take them.

    `degraded`, with reasons, is 200, too: without a broker, a worker or sweeps what is accepted is
    kept, and made when they are back.
    """
    state = await app_state(request).readiness.look()
    return answers.one(state.view(), status=200 if state.can_accept else 503)


@router.get("/metrics", include_in_schema=False)
async def get_metrics(request: Request) -> Response:
    """What this process did, for Prometheus: `service.metrics.metric_catalogue`."""
    accept = request.headers.get("accept")
    body, content_type = await asyncio.to_thread(serving.answer, accept)
    return Response(body, headers={"content-type": content_type})
