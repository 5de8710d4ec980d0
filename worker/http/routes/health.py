"""How this process is, and whether it could do its work: for those who watch it. No key needed."""

from starlette.requests import Request
from starlette.responses import Response

from worker.http import answers
from worker.http.described import answer, ref
from worker.http.routes.needs import building, router_of

router = router_of("Health")


@router.get("/healthz", responses={200: answer(200, ref("Health"))}, response_class=Response)
async def get_health() -> Response:
    """Whether the process answers: 200. A supervisor restarts it when it doesn't."""
    return answers.one({"status": "ok"})


@router.get(
    "/readyz",
    responses={status: answer(status, ref("Readiness")) for status in (200, 503)},
    response_class=Response,
)
async def get_readiness(request: Request) -> Response:
    """Whether charges that are accepted here would be made now: 200, or 503 with what is missing.

    Requests are accepted without a broker and without a worker, too, and made when they are back.
    """
    checks = await building(request).readiness.look()
    is_ready = all(check.is_ok for check in checks)
    body = {
        "status": "ready" if is_ready else "not_ready",
        "checks": {check.name: check.view() for check in checks},
    }
    return answers.one(body, status=200 if is_ready else 503)
