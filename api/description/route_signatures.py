"""What the signature of a route says of its request: the body, the key, how long one would wait."""

from collections.abc import Iterator
from typing import Any, get_type_hints

from fastapi.params import Depends
from fastapi.routing import APIRoute

from api.description.refusal_docs import WITH_BODY, refusal
from api.description.route_docs import KEY, PREFER, ref
from api.routes.request_bodies import Body, Waits


def describe(route: APIRoute, operation: dict[str, Any]) -> None:
    """Put what the signature declares into the description of the operation."""
    parameters = operation.setdefault("parameters", [])
    refused: list[int] = []
    for one in _declared(route):
        match one:
            case Body():
                content = {"application/json": {"schema": ref(one.model.__name__)}}
                operation["requestBody"] = {"required": one.is_required, "content": content}
                refused += WITH_BODY
                if _is_keyed(one):
                    parameters.append(KEY)
                    refused.append(422)
            case Waits():
                parameters.append(PREFER)
    if not parameters:
        del operation["parameters"]
    told = {**operation["responses"], **{str(status): refusal(status) for status in refused}}
    operation["responses"] = dict(sorted(told.items()))


def is_keyed(route: APIRoute) -> bool:
    """Whether it is done once per key, and answered with 200 when it was done before."""
    return any(isinstance(one, Body) and _is_keyed(one) for one in _declared(route))


def _is_keyed(body: Body) -> bool:
    return "idempotency_key" in body.model.model_fields


def _declared(route: APIRoute) -> Iterator[Any]:
    for hint in get_type_hints(route.endpoint, include_extras=True).values():
        for one in getattr(hint, "__metadata__", ()):
            yield one.dependency if isinstance(one, Depends) else one
