"""The page of an action: what it will do, its form, and the handling of that form."""

from functools import partial
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from api.console import actions, subjects
from api.console.actions.action import Action, Doing
from api.console.door import app_state, form, needing, required, to
from api.console.rendering import page
from api.console.session import Session
from api.edge.problems import NoSuchPath
from infra.billing.contract.texts import is_storable
from payments.parsing import refuse_card_data
from payments.payment_errors import InvalidRequest, KeyReused, MoveNotAllowed, Refused

# The limit of a reason in the history of a charge.
WHY_MAX = 255
# Fields of the form itself, besides the action's inputs.
_OWN = ("why", "key")
_SENT = (
    "This form was sent before, with something else in it, and that was done. Nothing more was done"
    " now: look at what it did, and send it once more if you mean both."
)


@needing(None)
async def show(request: Request, session: Session) -> Response:
    """The page with what the action will do, and its form."""
    action = _found(request, session)
    row, called = await _subject(request, session, action)
    if row is not None and not action.is_possible(row):
        raise MoveNotAllowed(f"{action.title} can't be done as it stands: {called}")
    return _form(request, action, called, {"key": uuid4().hex})


@needing(None)
async def do(request: Request, session: Session) -> Response:
    """Do it. A refusal is shown on the form, which keeps the input."""
    action, fields = _found(request, session), await form(request)
    row, called = await _subject(request, session, action)
    try:
        done = await action.run(_asked(request, session, action, fields, row))
    except Refused as refused:
        return _form(request, action, called, fields, refused)
    if done.secret is not None:
        return page(request, "secret.html", secret=done.secret, next=done.path, action=action)
    return to(f"{done.path}?done={action.of}.{action.name}")


def _found(request: Request, session: Session) -> Action:
    """The action of the path, if it exists and this person may do it. Raises NoSuchPath,
    InsufficientScope."""
    action = actions.ACTIONS.get((request.path_params["of"], request.path_params["name"]))
    if action is None or action.needs_object != ("id" in request.path_params):
        raise NoSuchPath
    session.access.require(action.permission)
    return action


async def _subject(request: Request, session: Session, action: Action) -> tuple[Any, str]:
    """The row of the object and its name; None for an action that creates one. Raises NotFound,
    also for what this person doesn't see."""
    if not action.needs_object:
        return None, ""
    read = partial(
        subjects.of, kind=action.of, id_=request.path_params["id"], access=session.access
    )
    return await app_state(request).database.read(read)


def _asked(
    request: Request, session: Session, action: Action, fields: dict[str, str], row: Any
) -> Doing:
    names = {one.name for one in action.inputs}
    if unknown := fields.keys() - names - set(_OWN):
        raise InvalidRequest(f"{len(unknown)} of the form's fields are none of this action's")
    for one in action.inputs:
        if one.is_required:
            required(fields, one.name, one.label.lower())
    why = required(fields, "why", "why you do this")
    if len(why) > WHY_MAX or not is_storable(why):
        raise InvalidRequest(f"say why in one line of up to {WHY_MAX} characters", param="why")
    refuse_card_data("why", why)
    return Doing(
        request,
        app_state(request),
        session,
        request.path_params.get("id", ""),
        row,
        why,
        required(fields, "key", "which form this is: open it again"),
        {name: value for name, value in fields.items() if name in names},
    )


def _form(
    request: Request,
    action: Action,
    called: str,
    fields: dict[str, str],
    refused: Refused | None = None,
) -> Response:
    is_sent = isinstance(refused, KeyReused)
    return page(
        request,
        "action.html",
        status=200 if refused is None else refused.status,
        action=action,
        id=request.path_params.get("id", ""),
        called=called,
        values=fields,
        # A person who returns to a form may send it again as a new one, knowingly.
        key=uuid4().hex if is_sent else fields.get("key") or uuid4().hex,
        wrong=_SENT if is_sent else None if refused is None else str(refused),
        param=None if refused is None else refused.param,
        why_max=WHY_MAX,
    )
