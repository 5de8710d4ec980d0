"""`/openapi.json`: the routes, described."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import answers

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def get_description(request: Request) -> Response:
    return Response(request.app.state.description, media_type=answers.MEDIA_TYPE)
