"""What routes need: a router, the state of the application, and who asks."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api import request_input
from api.app_state import AppState
from infra.billing.contract.texts import is_storable
from payments.access.scopes import OPERATE, OPERATIONS, Access
from payments.acting import Acting, by_key
from payments.parsing import refuse_card_data
from payments.payment_errors import InvalidRequest

# As much as the console takes.
REASON_MAX = 255


def router_of(tag: str, prefix: str = "") -> APIRouter:
    """A router whose operations are called as its functions are."""
    return APIRouter(
        prefix=prefix, tags=[tag], generate_unique_id_function=lambda route: route.name
    )


def app_state(request: Request) -> AppState:
    """What the routes stand on."""
    here: AppState = request.app.state.app_state
    return here


def permission_for(request: Request) -> str:
    """What the route of the request needs of whoever asks."""
    return OPERATIONS[request.scope["route"].name]


def acting(request: Request) -> Acting:
    """Who acts by the request of an `Asker`: its API key."""
    key: Acting = request.state.acting
    return key


async def _asker(request: Request) -> Access:
    access = await app_state(request).keyring.access(request)
    request.state.producer = access.producer  # for the log line
    request.state.acting = by_key(access, request.state.request_id)
    access.require(permission_for(request))
    if "audit-reason" in request.headers and access.allows(OPERATE):
        request.state.acting = replace(request.state.acting, why=audit_reason(request))
    request_input.once(request.query_params)
    return access


def audit_reason(request: Request) -> str | None:
    """Why an operator does it, as the header `Audit-Reason` says in UTF-8, if it is there. Of other
    keys it is not taken: what callers say may be about a customer, and the audit keeps it for ever.
    Raises InvalidRequest."""
    said = request.headers.getlist("audit-reason")
    if not said:
        return None
    try:
        (why,) = [one.encode("latin-1").decode() for one in said]
    except ValueError:  # two of them, or no UTF-8
        why = ""
    if not why.strip() or len(why) > REASON_MAX or not is_storable(why):
        raise InvalidRequest(
            f"Audit-Reason must be one line of 1 to {REASON_MAX} characters in UTF-8",
            param="Audit-Reason",
        )
    refuse_card_data("Audit-Reason", why)
    return why


# Who asks, if they may. As a dependency, so that a stranger is told 401 before anything else that
# is wrong.
Asker = Annotated[Access, Depends(_asker)]
